use sessions::{Session, SessionLayer, store::MemoryStore, views};

mod shop {
    #[derive(sessions::Session)]
    pub(crate) struct Cart {
        items: u64,
    }
}

#[derive(Session)]
struct Admin {
    items: String,
}

fn main() {
    let _ = SessionLayer::with_views(MemoryStore::new(), views![shop::Cart, Admin]);
}
