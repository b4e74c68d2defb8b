use sessions::Session;

#[derive(Session)]
#[session(namespace = "")]
struct Visit {
    a: u8,
}

fn main() {}
