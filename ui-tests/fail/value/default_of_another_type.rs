use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(default = "one")]
    n: u32,
    #[session(default = unknown)]
    m: u32,
}

fn main() {}
