use serde::{Deserialize, Serialize};
use sessions::Session;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Vec<T>(T);

#[derive(Session)]
struct Visit {
    #[session(merge = "last")]
    list: Vec<u8>,
}

fn main() {}
