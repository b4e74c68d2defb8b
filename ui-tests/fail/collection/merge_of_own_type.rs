use serde::{Deserialize, Serialize};
use sessions::Session;

#[derive(Default, Serialize, Deserialize)]
struct Cart(Vec<u64>);

#[derive(Session)]
struct Visit {
    #[session(merge = "entries")]
    cart: Cart,
}

fn main() {}
