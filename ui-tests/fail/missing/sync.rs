use std::cell::RefCell;

use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(skip)]
    cache: RefCell<u8>,
}

fn main() {}
