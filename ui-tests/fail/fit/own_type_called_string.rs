use serde::{Deserialize, Serialize};
use sessions::Session;

#[derive(Clone, Default, Serialize, Deserialize)]
struct String(u8);

#[derive(Session)]
struct Visit {
    name: String,
    nick: Option<String>,
}

fn main() {}
