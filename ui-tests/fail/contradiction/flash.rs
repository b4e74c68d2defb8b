use sessions::Session;

#[derive(Session)]
struct Visit {
    #[flash]
    #[session(skip)]
    a: Option<u8>,
    #[flash]
    #[session(default)]
    b: Option<u8>,
    #[flash]
    #[session(merge = "max")]
    c: Option<u8>,
}

fn main() {}
