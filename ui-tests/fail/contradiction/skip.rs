use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(skip, rename = "x")]
    a: u8,
    #[session(skip, alias = "x")]
    b: u8,
    #[session(skip, with = "m")]
    c: u8,
    #[session(skip, merge = "add")]
    d: u8,
    #[session(skip, on_invalid = "reject")]
    e: u8,
}

fn main() {}
