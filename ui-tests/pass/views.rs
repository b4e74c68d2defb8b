//! Lists of views: places, nesting, one type under two names, and views of one record that agree.
#![deny(warnings, clippy::pedantic)]

use sessions::{Session, SessionLayer, store::MemoryStore, views};

#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct UserId(u64);

pub mod shop {
    use sessions::{Session, views};

    #[derive(Session)]
    #[session(namespace = "shop")]
    pub struct Cart {
        #[session(keep_on_logout, merge = "last", alias = "basket")]
        items: std::vec::Vec<u64>,
    }

    #[derive(Session)]
    pub struct Account {
        #[session(identity, type = "user-id")]
        user_id: Option<super::UserId>,
        #[session(skip)]
        started: u8,
    }

    views! {
        /// The views of the shop.
        #[allow(dead_code)]
        pub type ShopViews = [Cart, Account];
    }
}

#[derive(Session)]
struct Orders {
    #[session(identity, type = "user-id")]
    user_id: Option<u64>,
    #[session(rename = "shop.items", alias = "shop.basket", keep_on_logout, merge = "last")]
    items: Vec<u64>,
    #[session(skip)]
    started: u16,
}

views!(type Empty = []);
views!(pub(crate) type All = [shop::ShopViews, Orders, Empty, Orders,]);

fn layers() -> [SessionLayer; 3] {
    #[derive(Session)]
    struct Local {
        count: u32,
    }

    [
        SessionLayer::with_views(MemoryStore::new(), views![Local, shop::Cart]),
        SessionLayer::with_views(MemoryStore::new(), views![All, Local]),
        SessionLayer::with_views(MemoryStore::new(), views![]),
    ]
}

fn main() {
    let _ = layers();
}
