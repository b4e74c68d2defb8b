//! Everything that generated code could take for the standard library's is something else here.
#![deny(warnings)]
#![allow(dead_code, non_camel_case_types, non_upper_case_globals, non_snake_case, unused_macros)]

mod core {
    pub mod option {}
}
mod std {}
mod alloc {}
mod serde {}
mod axum {}
mod sessions {
    pub struct Handle;
}

struct Option<T>(T);
struct Result;
struct String;
struct Vec<T>(T);
struct Box<T>(T);
struct Error;
struct Handle;
struct Table;
struct Field;
struct Value;
enum Never {}
trait Send {}
trait Sync {}
trait Sized {}
trait Default {}
trait Clone {}
trait Copy {}
trait Into<T> {}
trait From<T> {}
trait Deref {}
trait Debug {}
trait Future {}
trait Fn {}
trait FnOnce {}
trait Iterator {}
type u32 = Never;
type i64 = Never;
type bool = Never;
type str = Never;
type usize = Never;
const Some: () = ();
const None: () = ();
const Ok: () = ();
const Err: () = ();
fn drop() {}
fn default() {}
fn stored() {}
fn plain() {}
mod module {
    use ::serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        u8::deserialize(deserializer)
    }
}
macro_rules! concat {
    ($($t:tt)*) => {
        compile_error!("the user's")
    };
}
macro_rules! stringify {
    ($($t:tt)*) => {
        compile_error!("the user's")
    };
}
macro_rules! assert {
    ($($t:tt)*) => {
        compile_error!("the user's")
    };
}
macro_rules! unimplemented {
    ($($t:tt)*) => {
        compile_error!("the user's")
    };
}

/// Methods that would come before those of a trait.
trait Hijack {
    fn clone(&self) {}
    fn into(&self) {}
    fn deref(&self) {}
    fn copied(&self) {}
    fn __get(&self) {}
    fn __set(&mut self) {}
    fn or(self) -> Self
    where
        Self: ::core::marker::Sized,
    {
        self
    }
    fn poll(&self) {}
}
impl<T: ?::core::marker::Sized> Hijack for T {}

type Count = ::core::primitive::u16;

#[derive(::sessions::Session)]
struct Shadowed {
    #[session(merge = "add", default = 3)]
    count: ::core::primitive::u32,
    name: ::std::string::String,
    nick: ::std::option::Option<::std::string::String>,
    #[session(merge = "last")]
    list: ::std::vec::Vec<u8>,
    #[session(merge = "last")]
    maybe_list: ::std::option::Option<::std::vec::Vec<u8>>,
    #[flash]
    message: ::core::option::Option<::std::string::String>,
    #[session(skip)]
    skipped: ::core::option::Option<::std::boxed::Box<u8>>,
    #[session(with = "module", on_invalid = "reject", alias = "old")]
    with: u8,
    #[session(copy)]
    alias: Count,
    flag: ::core::primitive::bool,
    tuple: (u8, u8),
}

async fn handler(mut session: ::sessions::TypedSession<Shadowed>) {
    session.add_count(1);
    let _ = session.fetch_add_count(1).await;
    session.set_name("name");
    session.flash_message("hello");
    let _: ::core::primitive::bool = session.has_nick();
    let _: ::core::primitive::u16 = session.alias();
    let _: Shadowed = session.snapshot();
    let _ = session.reload().await;
}

fn main() {
    let _: ::axum::Router = ::axum::Router::new().route("/", ::axum::routing::get(handler));
}
