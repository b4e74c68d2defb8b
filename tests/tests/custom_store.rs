//! The suite on the store of one's own that the docs of `sessions::store` show: the very text of these docs.

include!("../../sessions/src/store/own_store.rs");

include!("../../sessions/src/store/own_store_test.rs");
