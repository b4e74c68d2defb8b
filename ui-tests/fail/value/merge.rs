use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "sum")]
    a: u8,
    #[session(merge = "Add")]
    b: u8,
    #[session(merge = "overwrite-everything")]
    c: u8,
}

fn main() {}
