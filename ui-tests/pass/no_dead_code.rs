//! A view is a description: that nobody reads its fields, or uses an accessor, is no dead code.
#![deny(warnings, dead_code, unused)]

use axum::{Router, routing::get};
use sessions::{Session, TypedSession};

#[derive(Session)]
struct Unused {
    a: u32,
    b: Option<String>,
    #[flash]
    c: Option<String>,
    #[session(merge = "add")]
    d: u8,
    #[session(skip)]
    e: Option<Vec<u8>>,
}

async fn handler(_: TypedSession<Unused>) {}

fn main() {
    let _: Router = Router::new().route("/", get(handler));
}
