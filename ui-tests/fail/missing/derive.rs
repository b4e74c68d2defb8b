use sessions::TypedSession;

struct Visit {
    n: u32,
}

async fn handler(session: TypedSession<Visit>) {}

fn main() {}
