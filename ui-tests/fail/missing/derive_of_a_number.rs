use sessions::TypedSession;

async fn handler(session: TypedSession<u32>) {}

fn main() {}
