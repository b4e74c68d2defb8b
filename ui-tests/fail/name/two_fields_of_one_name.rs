use sessions::Session;

#[derive(Session)]
struct Visit {
    n: u8,
    n: u16,
}

fn main() {}
