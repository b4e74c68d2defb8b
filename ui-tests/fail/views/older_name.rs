use sessions::{Session, views};

#[derive(Session)]
struct Cart {
    #[session(alias = "basket")]
    cart: Vec<u64>,
}

#[derive(Session)]
struct Checkout {
    basket: Vec<u64>,
}

views! { type ShopViews = [Cart, Checkout]; }

fn main() {}
