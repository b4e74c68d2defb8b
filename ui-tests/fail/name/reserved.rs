use sessions::Session;

#[derive(Session)]
struct Visit {
    __get: u8,
    #[session(rename = "__meta")]
    a: u8,
    #[session(accessor = "__b")]
    b: u8,
}

fn main() {}
