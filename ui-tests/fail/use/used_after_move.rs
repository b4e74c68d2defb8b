use sessions::{Session, TypedSession};

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    n: u32,
    name: String,
    user: Option<u64>,
    #[flash]
    message: Option<String>,
}

async fn handler(mut session: TypedSession<Visit>) {
    drop(session);
    session.set_n(1);
}

fn main() {}
