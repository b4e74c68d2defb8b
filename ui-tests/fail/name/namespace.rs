use sessions::Session;

#[derive(Session)]
#[session(namespace = "cart.")]
struct Visit {
    a: u8,
}

fn main() {}
