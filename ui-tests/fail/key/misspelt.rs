use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(renam = "a")]
    a: u8,
    #[session(mrege = "add")]
    b: u8,
    #[session(defalut)]
    c: u8,
    #[session(colour)]
    d: u8,
}

fn main() {}
