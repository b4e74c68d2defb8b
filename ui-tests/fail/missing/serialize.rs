use sessions::Session;

#[derive(Clone, serde::Deserialize)]
struct Plan;

#[derive(Session)]
struct Visit {
    plan: Option<Plan>,
    other: u8,
}

fn main() {}
