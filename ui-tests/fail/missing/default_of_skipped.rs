use sessions::Session;

struct Plan;

#[derive(Session)]
struct Visit {
    #[session(skip)]
    plan: Plan,
}

fn main() {}
