use sessions::{Session, SessionLayer, store::MemoryStore, views};

#[derive(Session)]
struct Cart {
    items: u64,
}

#[derive(Session)]
struct Account {
    #[session(identity)]
    user_id: Option<u64>,
}

views! { type ShopViews = [Cart, Account]; }

#[derive(Session)]
struct Visitor {
    user_id: Option<u64>,
}

fn main() {
    let _ = SessionLayer::with_views(MemoryStore::new(), views![Visitor, ShopViews]);
}
