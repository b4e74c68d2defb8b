use sessions::Session;

#[derive(Session)]
enum Visit {
    First,
    Later { n: u32 },
}

async fn handler(_: sessions::TypedSession<Visit>) {}

fn main() {}
