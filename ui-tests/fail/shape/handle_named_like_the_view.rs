use sessions::Session;

#[derive(Session)]
#[session(handle = "Visit")]
struct Visit {
    n: u32,
}

fn main() {}
