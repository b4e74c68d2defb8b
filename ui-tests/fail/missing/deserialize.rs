use sessions::Session;

#[derive(Clone, serde::Serialize)]
struct Plan;

#[derive(Session)]
struct Visit {
    plan: Option<Plan>,
}

fn main() {}
