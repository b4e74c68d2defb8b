use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(identity)]
    a: u64,
    #[session(identity)]
    b: Option<u64>,
    #[session(identity)]
    c: Option<u64>,
    #[session(privilege, keep_on_logout)]
    d: Option<String>,
    #[session(keep_on_logout, drop_on_login)]
    e: String,
    #[session(identity, merge = "first")]
    f: Option<u64>,
    #[session(keep_on_logout, skip)]
    g: u8,
}

fn main() {}
