use sessions::Session;

#[derive(Session)]
#[session(rename_all = "camelCase", namespace = "cart")]
struct Visit {
    a_b: u8,
    #[session(rename = "aB")]
    c: u8,
    #[session(alias = "aB")]
    d: u8,
}

fn main() {}
