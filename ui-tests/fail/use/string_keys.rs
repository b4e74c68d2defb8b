use sessions::{Session, TypedSession};

#[derive(Session)]
struct Visit {
    n: u32,
    user: Option<u64>,
}

fn handler(mut session: TypedSession<Visit>) {
    session.insert("user", 1);
    session.set("n", 1);
    session.remove("user");
}

fn main() {}
