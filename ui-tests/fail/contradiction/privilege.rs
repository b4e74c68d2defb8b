use sessions::Session;

#[derive(Session)]
struct Person {
    #[session(privilege)]
    #[flash]
    a: Option<String>,
    #[session(privilege, skip)]
    b: u8,
    #[session(privilege, merge = "max")]
    c: u8,
    #[session(privilege = true)]
    d: u8,
    #[session(priviledge)]
    e: u8,
}

fn main() {}
