//! Without the prelude, nothing is in scope but what is named.
#![no_implicit_prelude]
#![deny(warnings)]

extern crate sessions;

#[derive(::sessions::Session)]
#[session(namespace = "bare")]
struct Bare {
    #[session(merge = "add", default = 3)]
    count: u32,
    name: ::std::string::String,
    nick: ::std::option::Option<::std::string::String>,
    #[session(merge = "last")]
    list: ::std::vec::Vec<u8>,
    #[session(merge = "max")]
    max: ::core::option::Option<i64>,
    #[flash]
    message: ::core::option::Option<::std::vec::Vec<u8>>,
    #[session(skip)]
    skipped: ::core::option::Option<(u8, u8)>,
    #[session(with = "module", default = 1, on_invalid = "reject", alias = "old")]
    with: u8,
    tuple: (u8, u8),
    alias: Alias,
}

type Alias = u8;

mod module {
    use ::core::result::Result;
    use ::core::result::Result::Ok;

    pub(super) fn serialize<S>(_: &u8, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: ::serde::Serializer,
    {
        ::serde::Serializer::serialize_u8(serializer, 1)
    }

    pub(super) fn deserialize<'de, D>(_: D) -> Result<u8, D::Error>
    where
        D: ::serde::Deserializer<'de>,
    {
        Ok(1)
    }
}

fn handler(mut session: ::sessions::TypedSession<Bare>) {
    session.add_count(1);
    session.set_name("name");
    session.flash_message(::std::vec::Vec::new());
    let _: (u8, u8) = *session.tuple();
    let _: Bare = session.snapshot();
}

fn main() {
    let _: fn(_) = handler;
}
