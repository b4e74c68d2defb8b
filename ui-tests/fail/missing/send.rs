use std::rc::Rc;

use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(skip)]
    cache: Option<Rc<u8>>,
}

fn main() {}
