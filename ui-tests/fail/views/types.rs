use sessions::{Session, SessionLayer, store::MemoryStore, views};

mod shop {
    #[derive(sessions::Session)]
    pub(crate) struct Cart {
        items: Vec<u64>,
    }
}

#[derive(Session)]
struct Admin {
    items: Vec<String>,
}

fn main() {
    let _ = SessionLayer::with_views(MemoryStore::new(), views![shop::Cart, Admin]);
}
