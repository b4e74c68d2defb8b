use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(skip = true)]
    a: u8,
    #[session(copy = "yes")]
    b: u8,
    #[flash = 1]
    c: Option<u8>,
    #[flash(once)]
    d: Option<u8>,
}

fn main() {}
