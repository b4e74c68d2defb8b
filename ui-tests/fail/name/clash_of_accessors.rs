use sessions::Session;

#[derive(Session)]
struct Visit {
    n: u8,
    set_n: u8,
    user: Option<u8>,
    has_user: bool,
    m: u8,
    m_mut: u8,
}

fn main() {}
