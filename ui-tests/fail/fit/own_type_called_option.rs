use sessions::Session;

enum Option<T> {
    Nothing,
    Something(T),
}

#[derive(Session)]
struct Visit {
    limit: Option<u8>,
}

fn main() {}
