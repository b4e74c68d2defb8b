use sessions::Session;

#[derive(Session)]
#[session(namespace = "a", namespace = "b")]
struct Visit {
    #[session(rename = "x", rename = "y")]
    a: u8,
    #[session(default)]
    #[session(default = 1)]
    b: u8,
    #[flash]
    #[flash]
    c: Option<u8>,
    #[session(alias = "old", alias = "old")]
    d: u8,
}

fn main() {}
