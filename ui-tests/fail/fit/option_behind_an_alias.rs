use sessions::Session;

type Limit = Option<u32>;

#[derive(Session)]
struct Visit {
    limit: Limit,
    n: u8,
}

fn main() {}
