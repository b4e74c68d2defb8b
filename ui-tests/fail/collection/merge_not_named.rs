use std::collections::{BTreeSet, HashMap};

use sessions::Session;

#[derive(Session)]
struct Visit {
    cart: HashMap<u64, u32>,
    tags: Option<BTreeSet<String>>,
    pages: Vec<String>,
}

fn main() {}
