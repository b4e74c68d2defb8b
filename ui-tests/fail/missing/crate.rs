use sessions::Session;

#[derive(Session)]
#[session(crate = "no_such_crate")]
struct Visit {
    n: u32,
}

fn main() {}
