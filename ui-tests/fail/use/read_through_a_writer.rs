use sessions::{Session, SessionWriter};

#[derive(Session)]
#[session(writer)]
struct Visit {
    n: u32,
    #[session(identity)]
    user: Option<u64>,
}

fn handler(mut session: SessionWriter<Visit>) {
    let _ = session.n();
}

fn main() {}
