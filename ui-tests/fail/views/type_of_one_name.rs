use sessions::views;

mod shop {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Size(u8);

    #[derive(sessions::Session)]
    pub(crate) struct Cart {
        size: Size,
    }
}

mod admin {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Size(u64);

    #[derive(sessions::Session)]
    pub(crate) struct Order {
        size: Size,
    }
}

views! { type All = [shop::Cart, admin::Order]; }

fn main() {}
