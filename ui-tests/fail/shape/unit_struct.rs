use sessions::Session;

#[derive(Session)]
struct Visit;

async fn handler(_: sessions::TypedSession<Visit>) {}

fn main() {}
