use sessions::Session;

#[derive(Session)]
struct Visit<T> {
    n: T,
}

fn main() {}
