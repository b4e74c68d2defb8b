//! A struct may have any name, also one that generic parameters usually have.

use sessions::{Session, TypedSession};

#[derive(Session)]
struct S {
    count: u32,
}

#[derive(Session)]
struct T {
    name: Option<String>,
}

#[derive(Session)]
struct V {
    state: bool,
}

async fn handler(mut s: TypedSession<S>, t: TypedSession<T>, v: TypedSession<V>) -> String {
    s.set_count(s.count() + 1);
    format!("{:?} {}", t.name(), v.state())
}

fn main() {
    let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
}
