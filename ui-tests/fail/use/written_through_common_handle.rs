use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    n: u32,
    name: String,
    user: Option<u64>,
    #[flash]
    message: Option<String>,
}

fn handler(session: &sessions::Handle) {
    session.set_n(1);
}

fn main() {}
