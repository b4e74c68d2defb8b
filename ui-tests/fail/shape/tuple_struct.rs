use sessions::Session;

#[derive(Session)]
struct Visit(u32, String);

async fn handler(_: sessions::TypedSession<Visit>) {}

fn main() {}
