use sessions::Session;

#[derive(Clone, Default)]
struct Plan;

#[derive(Session)]
struct Visit {
    plan: Plan,
}

fn main() {}
