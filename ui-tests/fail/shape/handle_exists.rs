use sessions::Session;

#[derive(Session)]
struct Visit {
    n: u32,
}

struct VisitHandle;

fn main() {}
