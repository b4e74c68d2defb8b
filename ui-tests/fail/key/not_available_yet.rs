use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(ttl = "10m")]
    a: u8,
    #[session(privilege)]
    c: Option<u64>,
}

fn main() {}
