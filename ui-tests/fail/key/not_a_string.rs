use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(rename = renamed)]
    a: u8,
    #[session(with = module::path)]
    b: u8,
    #[session(merge = 1)]
    c: u8,
    #[session(merge(add))]
    d: u8,
}

fn main() {}
