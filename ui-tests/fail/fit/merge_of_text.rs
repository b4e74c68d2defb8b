use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    a: String,
    #[session(merge = "max")]
    b: Vec<u8>,
    #[session(merge = "min")]
    c: f64,
    #[session(merge = "add")]
    d: bool,
}

fn main() {}
