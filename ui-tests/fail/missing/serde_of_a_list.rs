use sessions::Session;

#[derive(Clone, Default)]
struct Plan;

#[derive(Session)]
struct Visit {
    plans: Vec<Plan>,
}

fn main() {}
