use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(type = "")]
    user_id: u64,
    #[session(skip, type = "user-id")]
    other: u64,
}

fn main() {}
