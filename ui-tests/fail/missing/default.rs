use serde::{Deserialize, Serialize};
use sessions::Session;

#[derive(Clone, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid,
}

#[derive(Session)]
struct Visit {
    plan: Plan,
}

fn main() {}
