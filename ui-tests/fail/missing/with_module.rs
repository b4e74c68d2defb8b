use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(with = "no_such_module")]
    at: u64,
}

fn main() {}
