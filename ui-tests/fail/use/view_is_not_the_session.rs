use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    n: u32,
    name: String,
    user: Option<u64>,
    #[flash]
    message: Option<String>,
}

async fn handler(session: Visit) {}

fn router() -> axum::Router {
    axum::Router::new().route("/", axum::routing::get(handler))
}

fn main() {}
