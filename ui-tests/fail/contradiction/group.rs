use sessions::Session;

#[derive(Session)]
struct Cart {
    #[session(group = "cart", keep_on_logout)]
    items: Vec<u32>,
    #[session(group = "cart")]
    total: u32,
    #[session(group = "cart", keep_on_logout, merge = "add")]
    count: u32,
}

fn main() {}
