use sessions::{SessionLayer, store::MemoryStore};

fn main() {
    let _ = SessionLayer::new(MemoryStore);
}
