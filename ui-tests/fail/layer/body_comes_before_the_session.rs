use axum::{Router, routing::post};
use sessions::{Session, TypedSession};

#[derive(Session)]
struct Visit {
    count: u32,
}

async fn index(_: String, mut visit: TypedSession<Visit>) {
    visit.set_count(1);
}

fn main() {
    let _: Router = Router::new().route("/", post(index));
}
