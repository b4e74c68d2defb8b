use axum::{Router, routing::get};
use sessions::{Session, TypedSession};

#[derive(Session)]
struct Visit {
    count: u32,
}

async fn index(visit: &mut TypedSession<Visit>) {
    visit.set_count(1);
}

fn main() {
    let _: Router = Router::new().route("/", get(index));
}
