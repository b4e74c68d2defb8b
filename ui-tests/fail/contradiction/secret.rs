use sessions::Session;

#[derive(Session)]
struct Wallet {
    #[session(secret, merge = "add")]
    balance: i64,
    #[session(merge = "max", secret)]
    best: u32,
    #[session(secret, merge = "min")]
    least: u32,
    #[session(secret, merge = "first")]
    origin: Option<String>,
    #[session(skip, secret)]
    cached: u8,
    #[session(secret = true)]
    a: u8,
    #[session(secret, secret)]
    b: u8,
    #[session(secrets)]
    c: u8,
}

fn main() {}
