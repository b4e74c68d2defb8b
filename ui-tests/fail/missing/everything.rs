use sessions::Session;

struct Plan;

#[derive(Session)]
struct Visit {
    plan: Plan,
}

fn main() {}
