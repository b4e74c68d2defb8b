//! The program of the README.

use axum::{Router, routing::get};
use sessions::{Session, SessionLayer, TypedSession, store::MemoryStore};

#[derive(Session)]
struct MySession {
    #[session(merge = "add")]
    page_count: u32,
    #[flash]
    message: Option<String>,
}

async fn index(mut session: TypedSession<MySession>) -> String {
    session.add_page_count(1);
    match session.take_message() {
        Some(text) => format!("{text} (visit {})", session.page_count()),
        None => format!("visit {}", session.page_count()),
    }
}

fn main() {
    let _: Router = Router::new().route("/", get(index)).layer(SessionLayer::new(MemoryStore::new()));
}
