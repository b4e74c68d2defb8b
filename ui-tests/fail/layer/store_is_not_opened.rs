use sessions::{SessionLayer, store::SqliteStore};

async fn without_question_mark() -> SessionLayer {
    SessionLayer::new(SqliteStore::open("sessions.db").await)
}

fn without_await() -> SessionLayer {
    SessionLayer::new(SqliteStore::open("sessions.db"))
}

fn main() {}
