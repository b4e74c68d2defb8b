//! The table of a view: the derive describes the fields as data, so that the code for them is compiled once, in
//! this library.

use std::{
    any::{Any, TypeId},
    fmt,
    pin::Pin,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    delta::Add,
    error::Error,
    slot::{FieldClass, OnInvalid, Rule, Rules},
    value::{FieldName, collection::CollectionKind},
};

/// A decoded value, its type erased.
pub type Value = Box<dyn Any + Send + Sync>;

/// A future that waits for the store.
///
/// It is boxed, so that the compiler need not prove for each handle, through everything that it waits for,
/// that it is `Send`. It has a name, since an opaque type costs the compiler time in every view.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A type that can be written to the store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a session: it is not `serde::Serialize`",
    label = "cannot be written to the store",
    note = "write `#[derive(serde::Serialize)]` above the type, turn on the serde feature of its crate, or write `#[session(with = \"module\")]` above the field",
    note = "a field that is never stored needs no serde: `#[session(skip)]`"
)]
pub trait Writable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> Writable for T {}

/// A type that can be read from the store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a session: it is not `serde::de::DeserializeOwned`",
    label = "cannot be read from the store",
    note = "write `#[derive(serde::Deserialize)]` above the type, turn on the serde feature of its crate, or write `#[session(with = \"module\")]` above the field",
    note = "a field that is never stored needs no serde: `#[session(skip)]`"
)]
pub trait Readable: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Readable for T {}

/// A type that a handle can hold, stored or not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be held by a session",
    label = "a session moves between threads, so a field needs `Send`, `Sync` and `'static`",
    note = "use `Arc` for `Rc`, `Mutex` or an atomic for `RefCell` and `Cell`"
)]
pub trait Held: Any + Send + Sync {}

#[diagnostic::do_not_recommend]
impl<T: Any + Send + Sync> Held for T {}

/// A type with a value for a plain field while the store has none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default, which a field needs while the store has no value",
    label = "needs `Default`",
    note = "derive `Default` for it, write `#[session(default = …)]` above the field, or make the field an `Option`"
)]
pub trait FieldDefault: Default {}

#[diagnostic::do_not_recommend]
impl<T: Default> FieldDefault for T {}

/// A type that a getter can return by value.
#[diagnostic::on_unimplemented(
    message = "`copy` needs a type that is `Copy`, not `{Self}`",
    label = "not `Copy`",
    note = "derive `Clone` and `Copy` for it, or remove `copy`: the getter then returns a reference"
)]
pub trait CopyValue: Any + Copy {}

#[diagnostic::do_not_recommend]
impl<T: Any + Copy> CopyValue for T {}

/// `String`, whose getter returns `&str`.
#[diagnostic::on_unimplemented(
    message = "a field type called `String` is taken for the standard library's",
    label = "another type",
    note = "give the type another name, or an alias of another name"
)]
pub trait Text: Any {
    /// The whole text.
    fn text(&self) -> &str;
}

#[diagnostic::do_not_recommend]
impl Text for String {
    fn text(&self) -> &str {
        self
    }
}

/// `Vec`, whose getter returns a slice.
#[diagnostic::on_unimplemented(
    message = "a field type called `Vec` is taken for the standard library's",
    label = "another type",
    note = "give the type another name, or an alias of another name"
)]
pub trait List: Any {
    /// The type of the items.
    type Item;

    /// All items.
    fn items(&self) -> &[Self::Item];
}

#[diagnostic::do_not_recommend]
impl<T: Any> List for Vec<T> {
    type Item = T;

    fn items(&self) -> &[T] {
        self
    }
}

/// The fields of a view.
pub struct Table {
    /// The name of the struct, with its module.
    pub(crate) view: &'static str,
    pub(crate) fields: &'static [Field],
    has_secrets: bool,
    /// True if a field is looked at when a handle is opened: one whose value must be readable.
    pub(crate) has_checked: bool,
    names: OnceLock<Vec<FieldName>>,
    /// The number of the last rules at which the view was registered.
    registered: AtomicUsize,
}

/// One field of a view.
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) ty: FieldType,
    pub(crate) shape: Shape,
    pub(crate) merge: Merge,
    pub(crate) class: FieldClass,
    pub(crate) on_invalid: OnInvalid,
    /// Sealed before it reaches the store.
    pub(crate) is_secret: bool,
    /// Sessions can be found by it.
    pub(crate) is_indexed: bool,
    pub(crate) codec: Codec,
    /// The value of a plain field that is absent.
    pub(crate) default: Option<fn() -> Value>,
    pub(crate) counter: Option<Counter>,
    /// The properties of a map, set or list whose entries are fields of their own.
    pub(crate) collection: Option<Collection>,
    /// Takes a value of the field's type out of an `Option` of it.
    ///
    /// Setters store through this, so that the bounds on a field's type are asked in one place, the table.
    pub(crate) boxed: fn(&mut dyn Any) -> Option<Value>,
}

/// The type of a field, for comparisons. Without the `Option` around it, which does not change what is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldType {
    /// The type as it is written, without paths, or the name that the field chose for it.
    pub(crate) name: &'static str,
    /// True if the field chose the name, with `type = "…"`.
    pub(crate) is_chosen: bool,
    /// Size and alignment: what the compiler can compare of types of one name.
    pub(crate) layout: (usize, usize),
    /// The type itself, which only a running program can compare.
    pub(crate) id: TypeId,
}

/// The kind of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `T` or `Option<T>`, stored.
    Stored,
    /// Stored with a stamp, delivered once.
    Flash,
    /// Never stored.
    Skipped,
}

/// The result when two requests change the field at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The last write stays.
    Last,
    /// Differences add up.
    Add,
    /// The largest stays.
    Max,
    /// The smallest stays.
    Min,
    /// The first write stays.
    First,
}

/// The properties of a field that is a collection, whose entries are fields of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collection {
    pub(crate) kind: CollectionKind,
    pub(crate) entry: EntryMerge,
    /// The most items of a list that stay.
    pub(crate) keep_last: usize,
}

/// The result when two requests change one entry at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EntryMerge {
    /// The last write stays.
    Last,
    /// Differences add up.
    Add(Counter),
    /// The largest stays.
    Max,
    /// The smallest stays.
    Min,
}

/// The functions that make JSON of a field's value, and a value of JSON.
#[derive(Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) decode: fn(&[u8]) -> Result<Value, serde_json::Error>,
    pub(crate) encode: fn(&(dyn Any + Send + Sync), &mut Vec<u8>) -> Result<(), serde_json::Error>,
}

/// The functions that make an integer of a field's value, and a value of an integer.
#[derive(Clone, Copy)]
pub struct Counter {
    pub(crate) get: fn(&(dyn Any + Send + Sync)) -> i64,
    pub(crate) put: fn(i64) -> Value,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Table {
    /// Makes the table of a view, named with its module, and its fields.
    #[must_use]
    pub const fn new(view: &'static str, fields: &'static [Field]) -> Self {
        let (has_secrets, has_checked) = (has_secrets(fields), has_checked(fields));
        Self {
            view,
            fields,
            has_secrets,
            has_checked,
            names: OnceLock::new(),
            registered: AtomicUsize::new(0),
        }
    }

    /// Returns the first secret field of the view, if it has one.
    pub(crate) fn secret(&self) -> Option<&Field> {
        self.has_secrets.then(|| self.fields.iter().find(|field| field.is_secret))?
    }

    /// Returns the first field that a store without an index cannot serve. An identity is indexed where the store can.
    pub(crate) fn needs_index(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.is_indexed && field.class != FieldClass::Identity)
    }

    /// Registers the fields' classes with the rules of a layer, once.
    ///
    /// # Errors
    ///
    /// An error of kind `Config` if the view contradicts another one.
    pub(crate) fn register(&self, rules: &Rules) -> Result<(), Error> {
        if self.registered.load(Ordering::Acquire) == rules.number() {
            return Ok(());
        }
        let stored = || self.fields.iter().filter(|field| field.shape != Shape::Skipped);
        rules.add(stored().map(Field::rule));
        // Read before the check, so that rules that are added meanwhile are checked the next time.
        let number = rules.number();
        for field in stored() {
            rules.check(field.rule().names(), field.class)?;
        }
        self.registered.store(number, Ordering::Release);
        Ok(())
    }

    /// Returns all names under which a field of the view may be stored, prefix names of collections among them.
    pub(crate) fn names(&self) -> &[FieldName] {
        self.names.get_or_init(|| {
            let stored = self.fields.iter().filter(|field| field.shape != Shape::Skipped);
            stored.flat_map(|field| field.rule().names()).collect()
        })
    }
}

const fn has_secrets(fields: &[Field]) -> bool {
    match fields {
        [] => false,
        [first, rest @ ..] => first.is_secret || has_secrets(rest),
    }
}

const fn has_checked(fields: &[Field]) -> bool {
    match fields {
        [] => false,
        [first, rest @ ..] => !matches!(first.on_invalid, OnInvalid::Reset) || has_checked(rest),
    }
}

impl Merge {
    /// Returns true if the present value may stay where another one is set.
    pub(super) const fn may_keep(self) -> bool {
        matches!(self, Self::Max | Self::Min | Self::First)
    }
}

impl Counter {
    /// Makes an addition to the field.
    pub(super) const fn adding(&self, by: i64, start: i64) -> Add {
        Add { by, start, min: self.min, max: self.max }
    }
}

impl Field {
    /// Returns the stored name.
    pub(crate) const fn name(&self) -> FieldName {
        FieldName::from_static(self.name)
    }

    const fn rule(&self) -> Rule {
        let &Self { name, aliases, class, is_secret, is_indexed, on_invalid, .. } = self;
        let (is_collection, decode) = (self.collection.is_some(), self.codec.decode);
        Rule { name, aliases, class, is_secret, is_indexed, is_collection, on_invalid, decode }
    }
}

/// The integers that `merge = "add"`, `"max"` and `"min"` work on.
#[diagnostic::on_unimplemented(
    message = "`merge = \"add\"`, `\"max\"` and `\"min\"` need an integer of at most 64 bits, not `{Self}`",
    label = "not such an integer",
    note = "use `u8` to `u64`, `i8` to `i64`, `usize` or `isize`, or write `merge = \"last\"` or `\"first\"`"
)]
pub trait Integer: Copy + Send + Sync + 'static {
    /// The functions that read and write it, and its bounds.
    const COUNTER: Counter;
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl Integer for $integer {
            const COUNTER: Counter = Counter {
                get: |value| value.downcast_ref::<$integer>().map_or(0, |value| {
                    i64::try_from(*value).unwrap_or(i64::MAX)
                }),
                put: |value| Box::new(<$integer>::try_from(value).unwrap_or(
                    if value < 0 { <$integer>::MIN } else { <$integer>::MAX }
                )),
                // Stores count in 64 bits with sign, so the bounds of wider types are cut to those.
                min: if <$integer>::MIN == 0 { 0 } else { i64::MIN >> (i64::BITS - <$integer>::BITS) },
                max: i64::MAX >> (i64::BITS - <$integer>::BITS).saturating_sub((<$integer>::MIN == 0) as u32),
            };
        }
    )*};
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.fields.iter().filter(|field| field.shape != Shape::Skipped);
        f.debug_list().entries(stored.map(|field| &field.name)).finish()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.name).finish()
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counter({}..={})", self.min, self.max)
    }
}
