use sessions::{Session, views};

#[derive(Session)]
struct Cart {
    #[session(keep_on_logout)]
    items: u64,
}

#[derive(Session)]
struct Checkout {
    items: u64,
}

views! { type ShopViews = [Checkout, Cart]; }

#[derive(Session)]
struct Count {
    #[session(merge = "add")]
    visits: u32,
}

#[derive(Session)]
struct Best {
    #[session(merge = "max")]
    visits: u32,
}

views! { type Counters = [Count, Best]; }

#[derive(Session)]
struct Card {
    #[session(secret)]
    number: Option<String>,
}

#[derive(Session)]
struct Form {
    number: Option<String>,
}

views! { type Forms = [Card, Form]; }

fn main() {}
