use sessions::Session;

#[derive(Session)]
union Visit {
    n: u32,
}

fn main() {}
