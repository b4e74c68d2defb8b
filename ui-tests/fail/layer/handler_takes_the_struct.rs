use axum::{Router, routing::get};
use sessions::Session;

#[derive(Session)]
struct Visit {
    count: u32,
}

async fn index(visit: Visit) -> String {
    visit.count.to_string()
}

fn main() {
    let _: Router = Router::new().route("/", get(index));
}
