//! The derive of `typed-sessions`, whose library is called `sessions`.
//!
//! Depend on `sessions`, not on this crate: it re-exports the derive beside the trait and the macros that the output needs.

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

/// Derives a typed view of the session from a struct, with accessors for each field.
///
/// The struct has named fields, no generics and no serde derive. A field's type is
/// `Serialize + DeserializeOwned + Send + Sync + 'static`. A type that is no `Option` also needs `Default`, or the field
/// a `#[session(default = expr)]`.
///
/// # Attributes of the struct
///
/// | attribute | meaning |
/// |---|---|
/// | `#[session(namespace = "cart")]` | Stored names become `cart.items`, so that several crates share one record. |
/// | `#[session(rename_all = "camelCase")]` | Stored names follow one of serde's eight cases. |
/// | `#[session(handle = "MyHandle")]` | Names the generated handle. Without it, `Visit` has a `VisitHandle`. |
/// | `#[session(crate = "path")]` | Says where `sessions` is found, for re-exports. Without it, at `::sessions`. |
///
/// # Attributes of a field
///
/// Several keys may stand in one `#[session(…)]`, and several of these on one field.
///
/// | value and stored name | meaning |
/// |---|---|
/// | `default`, `default = expr` | The value while the store has none. Without it, `Default::default()`. Not on an `Option`, which is `None`. |
/// | `rename = "name"` | The stored name: 1 to 128 bytes without control characters and `[`, and not beginning with `__`. |
/// | `alias = "old"` | An older stored name that is still read. May be repeated. |
/// | `skip` | Never stored, and needs no serde. |
/// | `with = "module"` | Encoded and decoded by `module::serialize` and `module::deserialize`, made for serde's `with`. |
/// | `on_invalid = "reset"`, `"reject"` | A stored value that does not decode: the field is as if nothing were stored (default), or the request is refused. |
/// | `copy` | The getter returns the value and not a reference. Needs `Copy`. |
/// | `accessor = "name"` | Another base name for the accessors. |
/// | `type = "name"` | The type's name where views are compared with each other and with earlier versions. Without it, the type as it is written, without paths. |
///
/// | when requests overlap | meaning |
/// |---|---|
/// | `merge = "last"` | The last write stays. This is the default, which collections of the standard library must name. |
/// | `merge = "entries"` | On a `HashMap`, `BTreeMap`, `HashSet` or `BTreeSet`: each entry is merged by itself. |
/// | `entry = "add"`, `"max"`, `"min"` | Beside it, on a map of integers: what becomes of an entry that two requests change. Without it, the last write of it stays. |
/// | `merge = "append"` | On a `Vec`: what two requests push both stays. |
/// | `keep_last = 20` | Beside it, or on a list of flashes: how many items stay. Without it, 100. |
/// | `merge = "add"` | Differences add up. For integers of at most 64 bits. |
/// | `merge = "max"`, `"min"` | The greatest or the smallest value stays. For integers of at most 64 bits. |
/// | `merge = "first"` | The first value stays. |
///
/// | login and secrecy | meaning |
/// |---|---|
/// | `identity` on `Option<T>` | The logged-in user, in one field of a struct. Setting it logs in, removing it logs out. Each brings a new secret, and the old cookie is void. |
/// | `index` on `Option<T>` | Sessions are found by it: listed, counted and ended, from a handler by `session.sessions().by_…(&value)`, elsewhere by `layer.sessions::<V>()`. An `identity` is indexed by itself. |
/// | `privilege` | A right. Setting, changing or removing it brings a new secret. Its default must be the state of least power, see below. |
/// | `keep_on_logout` | Belongs to the browser, such as a cart or a locale: a logout and a change of users keep it. |
/// | `drop_on_login` | Belongs to the visitor: a login drops it. |
/// | `secret` | Sealed with the layer's keys before it reaches the store. Needs the feature `keys` and `SessionLayer::with_keys`. |
///
/// | flash | meaning |
/// |---|---|
/// | `#[flash]` on `Option<T>` | Stored until a request takes it. An attribute of its own, not a key of `#[session(…)]`. |
/// | `#[flash]` on `Vec<T>` | A list of flashes, to which requests add one each. |
///
/// A field is at most one of `identity`, `privilege`, `keep_on_logout` and `drop_on_login`. `identity`, `privilege` and
/// `secret` merge by `last` only, but for a `secret` map or `Vec`, of which each value is sealed by itself. `#[flash]` and `skip` do not go with the keys that they leave without meaning; the
/// compiler names them.
///
/// # Accessors
///
/// The derive writes a handle beside the struct, and for each field `n` these methods of it. They have the visibility
/// of the *struct*, whatever that of the field. A field that only one module may write belongs in a view that is private
/// to it.
///
/// | `n: T` | |
/// |---|---|
/// | `n(&self) -> &T` | Returns the value, or its default. |
/// | `set_n(&mut self, T)` | Sets it. An equal value, or the default with nothing stored, is no change. |
/// | `n_mut(&mut self) -> &mut T` | Borrows it mutably. It is a change only if the value then differs. |
/// | `reset_n(&mut self)` | Removes it from the store: the default again. |
/// | `add_n(&mut self, i64)` | With `merge = "add"`: adds to it, and the additions of overlapping requests all count. |
/// | `fetch_add_n(&mut self, i64).await -> Result<T, Error>` | With `merge = "add"`: adds in the store, now, and returns the sum. |
///
/// | `n: Option<T>` | |
/// |---|---|
/// | `n(&self) -> Option<&T>`, `has_n(&self) -> bool` | Returns the value, if there is one. |
/// | `set_n(&mut self, T)` | Sets it. In place of a `set_n(None)` there is `remove_n()`. |
/// | `n_mut(&mut self) -> Option<&mut T>` | Borrows it mutably. An `identity` has none. |
/// | `take_n(&mut self) -> Option<T>`, `remove_n(&mut self)` | Removes it, also from the store. |
///
/// | `#[flash] n: Option<T>` | |
/// |---|---|
/// | `flash_n(&mut self, T)` | Stores it until a request takes it, this one or a later one. |
/// | `flash_now_n(&mut self, T)` | Sets it for this request only. |
/// | `n(&self) -> Option<&T>`, `has_n(&self) -> bool` | Looks at it, and takes nothing. |
/// | `take_n(&mut self) -> Option<T>` | Delivers it: it is gone once this request is answered. |
/// | `keep_n(&mut self)` | Undoes this request's take: a later request has it again. |
/// | `discard_n(&mut self)` | Removes it undelivered. |
///
/// | `#[flash] n: Vec<T>` | |
/// |---|---|
/// | `flash_n(&mut self, T)` | Adds a flash to the list. |
/// | `n(&self) -> &[T]` | Looks at them, and takes none. |
/// | `take_n(&mut self) -> Vec<T>` | Delivers them: they are gone once this request is answered. Those that other requests add meanwhile stay. |
/// | `keep_n(&mut self)`, `discard_n(&mut self)` | Undoes this request's takes; removes them undelivered. |
///
/// Every handle also has:
///
/// - `snapshot(&self)`, which returns the plain struct, if each field is `Clone`;
/// - `reload(&mut self).await -> Result<(), Error>`, which reads the record again and keeps unsaved changes on top;
/// - the methods of `sessions::Handle`, by dereference.
///
/// Getters return integers, floats, `bool` and `char` by value, `String` as `&str`, `Vec<U>` as `&[U]`, and everything
/// else by reference. Setters of `String` take `impl Into<String>`. The struct's documentation is also the handle's, and a
/// field's is its getter's. Methods of your own go to the handle by its name: `impl VisitHandle { … }`.
///
/// # Rules by attribute
///
/// **`default`.** A default is never stored by itself, and its expression runs once per request that needs it. For the
/// time of a first visit, set the field. A record without the field has the default of the running program.
///
/// **`privilege` and `identity`.** Setting a right to its default removes it, and a removal happens even if the request
/// fails. So the default must be the state of least power: `has_second_factor: bool`, and never `second_factor_pending`
/// or `is_read_only`. A change from one power to another (`admin` to `editor`) is a grant, which a failing or refused
/// request drops: take away first, then set. A field that becomes a right while sessions are alive starts unset. Every
/// view with a right's stored name, or an older name of it, declares it: another view is refused once the layer has
/// met the first.
///
/// **`identity`.** From none to some is a login: the session's lifetime starts again, and all fields stay but those marked
/// `drop_on_login`. A removal is a logout, and another value a change of users. Both drop every field that is not
/// `keep_on_logout`, in the same commit.
///
/// **`keep_on_logout`.** The field outlives a logout, but not the session's timeouts. A request that began before a login
/// or logout, and changes such fields only, may still write them: across one login or logout, and for a minute.
///
/// **`on_invalid`.** Without it, a right that does not decode has the request see the record as after a logout. The same
/// holds for a `secret` whose key is not in the ring. A `secret` whose key is there, and which does not open, refuses the
/// request unless it says `reset`.
///
/// **`secret`.** A field is secret for all views as soon as a handler has taken one that says so: other views show it, and
/// their writes are sealed. Until then a view that does not say so writes it in plain, which the first one then
/// refuses. So say it in every view, and register the views (`SessionLayer::with_views`). A field that becomes secret while sessions are alive gets a new stored name, or
/// `on_invalid = "reset"`: a value that is not sealed counts as none. A `Debug` that the *struct* derives shows the value.
///
/// **`merge`.** `add`, `max` and `min` count in 64 bits with sign: a `u64` beyond that is cut to `i64::MAX`. With `max`, `min`
/// and `first`, the result of `n_mut` counts as if it were set: if the former value stays, `n` shows that one as soon
/// as the borrow ends.
///
/// **`merge = "entries"`, `"append"`.** Each entry is a stored field of its own, such as `cart[42]`. The accessors are those of
/// the plain collection. When the handle is dropped, what was loaded is compared with what is there, entry by entry:
/// those that differ are written, those that are gone removed. `set_n` writes all, and removes what this request had
/// seen. An entry that another request adds meanwhile stays. `keep_on_logout` and `drop_on_login` hold for every entry. A
/// key's text is what `serde_json` makes of it as the key of an object, and of a set's element its JSON. Two keys with one text
/// cannot be stored. The keys are readable in the store, also those of a `secret` map. A whole value under the field's
/// name, of a program that stored it so, is shown, and becomes entries with the first change.
///
/// **`type`.** `views!` and `schema_test!` of the library compare fields of one stored name. Two types count as one if both
/// fields name them alike: a newtype `UserId` and a `u64` with `type = "user-id"`, whose JSON is the same.
///
/// **`with`.** The module is for the type inside: on an `Option<T>` name the one for `T` (`chrono::serde::ts_seconds`), not
/// the one for `Option<T>` that serde would need. serde's own attributes on the struct's fields mean nothing here.
///
/// # Values that cannot be stored
///
/// A value that cannot be read again fails its request, which writes nothing. An event (`CommitFailed`) names the field and
/// the reason:
///
/// - a number that is infinite or NaN, anywhere in the value;
/// - a map whose keys are no JSON keys;
/// - more than 64 KiB of JSON (`SessionLayer::with_size_limits`).
///
/// Builds with debug assertions read each value once more, and refuse one that then means something else. Examples are a
/// type with `#[serde(tag = "t")]` around a map with integer keys, or one whose `deserialize_with` changes it. The order of
/// an object's members and of an array's elements does not count. Builds without debug assertions store such a value,
/// and the next request has the default or the other value.
///
/// # Errors
///
/// A misspelt, repeated, contradictory or unfitting attribute is a compile error. It points at the attribute and says what
/// to write instead. One compile reports all of them.
#[proc_macro_derive(Session, attributes(session, flash))]
pub fn session(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::derive(input.into()).into()
}
