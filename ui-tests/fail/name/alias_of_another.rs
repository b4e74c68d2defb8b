use sessions::Session;

#[derive(Session)]
struct Visit {
    n: u8,
    #[session(alias = "n")]
    m: u8,
    #[session(alias = "x")]
    a: u8,
    #[session(alias = "x")]
    b: u8,
    #[session(alias = "c")]
    c: u8,
}

fn main() {}
