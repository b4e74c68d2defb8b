use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(copy)]
    a: String,
    #[session(copy, merge = "last")]
    b: Option<Vec<u8>>,
}

fn main() {}
