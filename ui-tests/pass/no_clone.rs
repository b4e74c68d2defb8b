//! A field that is not `Clone`: all but `snapshot()` is there.
#![deny(warnings)]

use serde::{Deserialize, Serialize};
use sessions::{Session, TypedSession};

#[derive(Default, Serialize, Deserialize)]
struct Unique(u8);

#[derive(Session)]
struct View {
    unique: Unique,
    maybe: Option<Unique>,
    #[flash]
    once: Option<Unique>,
    #[session(skip)]
    lock: std::sync::Mutex<u8>,
}

fn handler(mut session: TypedSession<View>) {
    let moved = session.take_maybe().or(session.take_once()).unwrap_or_default();
    session.set_unique(moved);
    session.unique_mut().0 += 1;
    *session.lock().lock().unwrap() += 1;
    session.reset_lock();
}

fn main() {
    let _ = handler;
}
