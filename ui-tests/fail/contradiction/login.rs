use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(identity)]
    a: u64,
    #[session(identity)]
    b: Option<u64>,
    #[session(identity)]
    c: Option<u64>,
    #[session(privilege, carry)]
    d: Option<String>,
    #[session(carry, drop_on_login)]
    e: Vec<String>,
    #[session(identity, merge = "first")]
    f: Option<u64>,
    #[session(carry, skip)]
    g: u8,
}

fn main() {}
