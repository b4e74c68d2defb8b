use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    a: u128,
    #[session(merge = "max")]
    b: Option<i128>,
}

fn main() {}
