use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    n: Option<u32>,
}

fn main() {}
