use serde::{Deserialize, Serialize};
use sessions::Session;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Plan;

#[derive(Session)]
struct Visit {
    #[session(copy)]
    plan: Plan,
}

fn main() {}
