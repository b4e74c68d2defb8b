use sessions::{Session, views};

#[derive(Session)]
struct Cart {
    #[session(alias = "basket")]
    cart: u64,
}

#[derive(Session)]
struct Checkout {
    basket: u64,
}

views! { type ShopViews = [Cart, Checkout]; }

fn main() {}
