use sessions::TypedSession;

async fn handler(session: TypedSession<sessions::store::MemoryStore>) {}

fn main() {}
