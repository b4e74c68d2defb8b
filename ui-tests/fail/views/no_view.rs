use sessions::{SessionLayer, store::MemoryStore, views};

struct Cart {
    items: u64,
}

fn main() {
    let _ = SessionLayer::with_views(MemoryStore::new(), views![Cart]);
}
