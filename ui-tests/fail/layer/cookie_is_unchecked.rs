use axum::Router;
use sessions::{CookieConfig, SessionLayer, store::MemoryStore};

fn main() {
    let layer = SessionLayer::new(MemoryStore::new()).with_cookie(CookieConfig::new("__Host-shop"));
    let _: Router = Router::new().layer(layer);
}
