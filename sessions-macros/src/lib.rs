//! The derive of the [`sessions`](https://docs.rs/sessions) crate.
//!
//! Do not depend on this crate: `sessions` re-exports the derive beside the trait and the macros that its output needs.

mod accessor;
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
/// | `#[flash]` on `Option<T>` | kept until a request takes it |
/// | `#[session(default)]` | `Default::default()` when the store has no value, as without it |
/// | `#[session(default = expr)]` | the value when the store has none |
/// | `#[session(rename = "name")]` | the stored name |
/// | `#[session(alias = "old")]` | an older stored name that is still read; may be repeated |
/// | `#[session(skip)]` | never stored |
/// | `#[session(with = "module")]` | encoded and decoded by `module::serialize` and `module::deserialize`, made for serde's `with` |
/// | `#[session(merge = "…")]` | what happens when two requests change the field at once: `last` (default), `add`, `max`, `min`, `first` |
/// | `#[session(privilege)]` | a right: setting, changing or removing it brings a new secret in the same commit, and the old one is dead; not with `#[flash]`, `skip` or another `merge` than `last`. See below for its default |
/// | `#[session(identity)]` on `Option<T>` | who is logged in: a right, one in a struct. From none to some is a login: the session's life begins anew, and all fields stay but those marked `drop_on_login`. Removing it is a logout and changing it a change of users: every field that is not marked `keep_on_logout` goes in the same commit. It has no `n_mut()` |
/// | `#[session(keep_on_logout)]` | belongs to the browser, not to the user (cart, locale): outlives a logout (not the session's timeouts), and a request that changes nothing else and that began before a login or logout may still write it, across one of them and for a minute |
/// | `#[session(drop_on_login)]` | the visitor's, and not the user's: goes with a login |
/// | `#[session(secret)]` | sealed with the layer's keys before it reaches the store (feature `keys`, `SessionLayer::with_keys`); not with `skip` or another `merge` than `last` |
/// | `#[session(on_invalid = "…")]` | a stored value that does not decode: `reset` the field (default), or `reject` the request. With `privilege` and `identity` the default is that the request sees the record as after a logout; so it is with `secret` where the key is not in the ring. A `secret` whose key is there and that does not open refuses the request, unless it says `reset` |
/// | `#[session(copy)]` | the getter returns by value |
/// | `#[session(accessor = "name")]` | another base name for the accessors |
///
/// Several keys may stand in one `#[session(…)]`, and several of these on one item. Stored names have 1 to 128 bytes
/// and no control characters; those that begin with `__` are reserved.
///
/// # What is generated
///
/// A handle beside the struct, and for each field `n` these methods of it. Handle and methods have the visibility of
/// the *struct*, whatever that of the field: what only one module may write belongs in a view that is private to it.
///
/// | `n: T` | |
/// |---|---|
/// | `n(&self) -> &T` | the value, or its default; see below for what comes by value |
/// | `set_n(&mut self, T)` | sets it; a value that is stored already, or the default with nothing stored, is no change |
/// | `n_mut(&mut self) -> &mut T` | to change in place; a change only if it then differs |
/// | `reset_n(&mut self)` | removes it from the store: the default again |
/// | `add_n(&mut self, i64)` | with `merge = "add"`: exact, whatever other requests add |
/// | `fetch_add_n(&mut self, i64).await -> Result<T, Error>` | the same, in the store now; returns the sum |
///
/// | `n: Option<T>` | |
/// |---|---|
/// | `n(&self) -> Option<&T>`, `has_n(&self) -> bool` | the value, if there is one |
/// | `set_n(&mut self, T)` | sets it; there is no `set_n(None)`, that is `remove_n()` |
/// | `n_mut(&mut self) -> Option<&mut T>` | to change in place |
/// | `take_n(&mut self) -> Option<T>`, `remove_n(&mut self)` | takes it out, or drops it; gone from the store too |
///
/// | `#[flash] n: Option<T>` | |
/// |---|---|
/// | `flash_n(&mut self, T)` | sets it for whoever takes it next, in this request or a later one |
/// | `flash_now_n(&mut self, T)` | sets it for this request only |
/// | `n(&self) -> Option<&T>`, `has_n(&self) -> bool` | looks, and consumes nothing |
/// | `take_n(&mut self) -> Option<T>` | delivers it: gone once this request is answered |
/// | `keep_n(&mut self)` | undoes this request's take: the next request has it again |
/// | `discard_n(&mut self)` | drops it undelivered |
///
/// All handles also have `reload(&mut self).await -> Result<(), Error>`, which reads the record again and keeps this
/// handle's unsaved changes on top, `snapshot(&self)`, the plain struct (if every field is `Clone`), and by dereference
/// the methods of `sessions::Handle`.
///
/// Getters return integers, floats, `bool` and `char` by value, `String` as `&str`, `Vec<U>` as `&[U]`, and everything
/// else by reference. Setters of `String` take `impl Into<String>`. The field's documentation goes to its getter.
/// Methods of your own go to the handle by its name, `impl VisitHandle { … }`.
///
/// # Notes
///
/// - A default is never stored by itself, and its expression runs once per request that needs it: for a time of first
///   visit, set the field. Rows without the field have the default of the running program.
/// - The default of a right must be the state of least power: setting a right to its default is its removal, and
///   removals happen though the request fails. So `has_second_factor: bool`, and never `second_factor_pending` or
///   `is_read_only`, whose removal would give the power. Changing one power for another (`admin` to `editor`) is a
///   grant, which a failing or refused request drops: take away first, then set.
/// - A field that becomes `privilege` or `identity` while sessions are alive starts unset. Every view that has a right's
///   stored name, or an older name of it, declares it: another one is refused once the layer has met the first.
/// - `with` is about the type inside: on an `Option<T>` name the module for `T` (`chrono::serde::ts_seconds`), not the
///   one for `Option<T>` that serde would need.
/// - `merge = "add"`, `"max"` and `"min"` count in 64 bits with sign: a `u64` beyond that is cut to `i64::MAX`.
/// - With `merge = "max"`, `"min"` and `"first"`, what `n_mut` makes of the field counts as if it were set: if what was
///   there before stays, that is what `n` shows as soon as the borrow ends.
/// - A field is `secret` for all views as soon as a handler has taken one that says so: others show it, and what they
///   write is sealed. Until then a view that does not say so writes it in plain, which the one that does then
///   refuses. So say it in every view. What a handler makes of the value is its own business: a `Debug` that the
///   *struct* derives shows it.
/// - A field that becomes `secret` while sessions are alive gets a new stored name, or `on_invalid = "reset"`: a value
///   that is not sealed is none.
/// - serde's own attributes on the struct's fields mean nothing here.
/// - A value that cannot be read again fails its request, which writes nothing, and an event (`CommitFailed`) names the field
///   and the reason: a number that is infinite or NaN, anywhere in the value; a map with keys that are no JSON keys;
///   more than 64 KiB of JSON (`SessionLayer::with_size_limits`). Builds with debug assertions read each value once
///   more and refuse what then means something else, such as a type with `#[serde(tag = "t")]` around a map with
///   integer keys, or one whose `deserialize_with` changes it. Order does not count, neither of an object's members nor of an array's
///   elements. Released builds store such a value, and the next request has the default or the other value.
///
/// # Errors
///
/// A misspelt, repeated, contradictory or unfitting attribute is a compile error at the attribute that says what to
/// write instead. All of them are reported in one compile.
#[proc_macro_derive(Session, attributes(session, flash))]
pub fn session(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::derive(input.into()).into()
}
