use sessions::Session;

#[derive(Session)]
#[session(crate = "1::2")]
struct Visit {
    #[session(with = "not a path")]
    a: u8,
}

fn main() {}
