use serde::{Deserialize, Serialize};
use sessions::Session;

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Points(u32);

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    points: Points,
    #[session(merge = "max")]
    best: Option<Points>,
}

fn main() {}
