//! The derive of the [`sessions`](https://docs.rs/sessions) crate.
//!
//! Do not depend on this crate: `sessions` re-exports the derive beside the trait and the macros that its output needs.

mod attr;
mod check;
mod derive;
mod errors;
mod expand;
mod model;
mod names;
mod suggest;
mod types;

#[cfg(test)]
mod tests;

/// Makes a struct a view of the session: typed fields, each with its own accessors.
///
/// The struct has named fields and no generics, and needs no serde derive; the types of its fields are
/// `Serialize + DeserializeOwned + Send + Sync + 'static`. A field that is not an `Option` also needs `Default`, or a
/// `#[session(default = expr)]`. How the handle is extracted and when it is stored is told, with examples that run, in the
/// [documentation of `sessions`](https://docs.rs/sessions).
///
/// # Attributes of the struct
///
/// | attribute | meaning |
/// |---|---|
/// | `#[session(namespace = "cart")]` | stored names become `cart.items`, so that several crates share one record |
/// | `#[session(rename_all = "camelCase")]` | stored names in one of serde's eight cases |
/// | `#[session(crate = "path")]` | where `sessions` is found, for re-exports; the default is `::sessions` |
/// | `#[session(handle = "MyHandle")]` | the name of the generated handle; the default is the struct's with `Handle` behind it |
///
/// # Attributes of a field
///
/// | attribute | meaning |
/// |---|---|
/// | `#[flash]` on `Option<T>` | delivered once |
/// | `#[session(default)]` | `Default::default()` when the store has no value, as without it |
/// | `#[session(default = expr)]` | the value when the store has none |
/// | `#[session(rename = "name")]` | the stored name |
/// | `#[session(alias = "old")]` | an older stored name that is still read; may be repeated |
/// | `#[session(skip)]` | never stored |
/// | `#[session(with = "module")]` | encoded and decoded by `module::serialize` and `module::deserialize`, as serde's |
/// | `#[session(merge = "…")]` | what happens when two requests change the field at once: `last` (default), `add`, `max`, `min`, `first` |
/// | `#[session(on_invalid = "…")]` | a stored value that does not decode: `reset` (default) the field, or `reject` the request |
/// | `#[session(copy)]` | the getter returns by value |
/// | `#[session(accessor = "name")]` | another base name for the accessors |
///
/// Several keys may stand in one `#[session(…)]`, and several of these on one item. Stored names have 1 to 128 bytes
/// and no control characters; those that begin with `__` are reserved.
///
/// # What is generated
///
/// A handle beside the struct, of the same visibility, with these methods for each field `n`:
///
/// | field | methods |
/// |---|---|
/// | `n: T` | `n`, `set_n`, `n_mut`, `reset_n` |
/// | `n: T` with `merge = "add"` | also `add_n`, `fetch_add_n` |
/// | `n: Option<T>` | `n`, `has_n`, `set_n`, `n_mut`, `take_n`, `remove_n` |
/// | `#[flash] n: Option<T>` | `n`, `has_n`, `flash_n`, `now_n`, `take_n`, `keep_n`, `discard_n` |
///
/// Getters return integers, floats, `bool` and `char` by value, `String` as `&str`, `Vec<U>` as `&[U]`, and everything
/// else by reference. Setters of `String` take `impl Into<String>`. The field's documentation goes to its getter.
///
/// # Errors
///
/// A misspelt, repeated, contradictory or unfitting attribute is a compile error at the attribute that says what to
/// write instead. All of them are reported in one compile.
#[proc_macro_derive(Session, attributes(session, flash))]
pub fn session(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::derive(input.into()).into()
}
