use sessions::Session;

#[derive(Session)]
struct Visit {
    a: &'static str,
    b: Option<&'static [u8]>,
    #[session(skip)]
    c: &'static str,
}

fn main() {}
