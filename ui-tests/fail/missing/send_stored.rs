use std::rc::Rc;

use sessions::Session;

#[derive(Session)]
struct Visit {
    cache: Rc<u8>,
}

fn main() {}
