use sessions::Session;

#[derive(Session)]
#[session(merge = "add", default)]
#[flash]
struct Visit {
    #[session(namespace = "a")]
    a: u8,
    #[session(rename_all = "camelCase")]
    b: u8,
    #[session(handle = "H")]
    c: u8,
}

fn main() {}
