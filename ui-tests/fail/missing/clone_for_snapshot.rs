use serde::{Deserialize, Serialize};
use sessions::{Session, TypedSession};

#[derive(Default, Serialize, Deserialize)]
struct Plan;

#[derive(Session)]
struct Visit {
    plan: Plan,
}

fn handler(session: TypedSession<Visit>) -> Visit {
    session.snapshot()
}

fn main() {}
