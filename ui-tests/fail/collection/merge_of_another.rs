use std::collections::{HashMap, HashSet};

use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "entries")]
    pages: Vec<String>,
    #[session(merge = "append")]
    tags: HashSet<String>,
    #[session(merge = "entries")]
    name: String,
    #[session(merge = "entries")]
    maybe: Option<HashMap<u64, u32>>,
    #[session(merge = "entries", entry = "add")]
    words: HashMap<u64, String>,
}

fn main() {}
