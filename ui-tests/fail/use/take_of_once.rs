use sessions::{Session, TypedSession};

#[derive(Session)]
struct Login {
    #[session(once)]
    code: Option<String>,
}

fn check(mut session: TypedSession<Login>) -> Option<String> {
    session.take_code()
}

fn main() {
    let _ = check;
}
