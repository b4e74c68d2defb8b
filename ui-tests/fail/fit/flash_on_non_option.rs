use sessions::Session;

#[derive(Session)]
struct Visit {
    #[flash]
    message: String,
}

fn handler(mut session: sessions::TypedSession<Visit>) {
    session.set_message("hello");
}

fn main() {}
