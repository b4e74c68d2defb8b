use axum::{Router, routing::get};
use sessions::{SessionLayer, store::MemoryStore};
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;

fn main() {
    let layers = ServiceBuilder::new()
        .layer(SessionLayer::new(MemoryStore::new()))
        .layer(TraceLayer::new_for_http());
    let _: Router = Router::new().route("/", get(async || "page")).layer(layers);
}
