use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(on_invalid = "rejcet")]
    a: u8,
    #[session(on_invalid = "ignore")]
    b: u8,
}

fn main() {}
