use sessions::Session;

#[derive(Session)]
struct Visit {
    n: u8,
    #[session(accessor = "n")]
    m: u8,
}

fn handler(mut session: sessions::TypedSession<Visit>) {
    session.set_n(1);
    session.set_m(1);
}

fn main() {}
