use sessions::{SessionLayer, store::SqliteStore};

async fn layer() -> SessionLayer {
    SessionLayer::new(SqliteStore::open("sessions.db").await)
}

fn main() {}
