use sessions::Session;

#[derive(Session)]
struct Visit {
    n: u8,
    #[session(rename = "n")]
    m: u8,
    #[session(rename = "x")]
    a: u8,
    #[session(rename = "x")]
    b: u8,
}

fn main() {}
