use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session]
    a: u8,
    #[session = "x"]
    b: u8,
    #[session(rename = )]
    c: u8,
    #[session(rename = "d" copy)]
    d: u8,
    #[session("rename")]
    e: u8,
    #[session(a::rename = "x")]
    f: u8,
    #[session(default = )]
    g: u8,
}

fn main() {}
