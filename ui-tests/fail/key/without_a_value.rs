use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(rename, with, merge, accessor, alias, on_invalid)]
    a: u8,
}

fn main() {}
