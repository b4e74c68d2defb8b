use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(rename = "")]
    a: u8,
    #[session(rename = "line\nbreak")]
    b: u8,
    #[session(alias = "")]
    c: u8,
    #[session(rename = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    d: u8,
}

fn main() {}
