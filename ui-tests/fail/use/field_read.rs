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

fn handler(session: TypedSession<Visit>) -> u32 {
    session.n
}

fn main() {}
