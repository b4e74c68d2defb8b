use sessions::Session;

#[derive(Session)]
#[session(handle = "My-Handle")]
struct Visit {
    #[session(accessor = "page count")]
    a: u8,
    #[session(accessor = "1st")]
    b: u8,
    #[session(accessor = "self")]
    c: u8,
    #[session(accessor = "")]
    d: u8,
    #[session(accessor = "m²")]
    e: u8,
}

fn main() {}
