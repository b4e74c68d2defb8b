use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(default = "en")]
    locale: String,
}

fn main() {}
