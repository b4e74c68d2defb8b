use std::collections::{BTreeMap, HashSet};

use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "entries", privilege)]
    rights: HashSet<String>,
    #[session(merge = "entries", secret)]
    codes: HashSet<String>,
    #[session(merge = "entries", default = BTreeMap::from([(1, 1)]))]
    cart: BTreeMap<u64, u32>,
    #[session(entry = "add")]
    count: u32,
    #[session(merge = "last", keep_last = 3)]
    pages: Vec<String>,
    #[session(merge = "append", keep_last = "3")]
    searches: Vec<String>,
    #[session(rename = "a[1]")]
    renamed: u8,
}

fn main() {}
