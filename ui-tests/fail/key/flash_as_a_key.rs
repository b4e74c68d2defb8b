use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(flash)]
    message: Option<String>,
}

fn handler(mut session: sessions::TypedSession<Visit>) {
    session.flash_message("hello");
}

fn main() {}
