use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(ttl = "10m")]
    a: u8,
    #[session(privilege)]
    c: Option<u64>,
    #[session(once)]
    g: Option<String>,
    #[session(group = "cart")]
    h: u8,
    #[session(merge = "cas")]
    j: u8,
}

fn main() {}
