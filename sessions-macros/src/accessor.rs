//! The accessors: for each its name, its signature, the function that it calls, and its documentation.
//!
//! This is the only list of them. The model asks it for names, and the expansion for everything else.

use crate::attr::{FieldClass, Merge};

/// A method that the handle has for a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accessor {
    Get,
    Has,
    Set,
    Edit,
    Reset,
    Add,
    FetchAdd,
    Take,
    Remove,
    Flash,
    FlashNow,
    Keep,
    Discard,
    Claim,
}

/// The accessors of one kind of field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AccessorSet {
    /// Those of `T`.
    Plain,
    /// Those of `Option<T>`.
    Optional,
    /// Those of a `#[flash]`.
    Flash,
    /// Those of a field that is `once`.
    Once,
    /// Those of a `#[flash]` list.
    FlashList,
}

/// The facts of a field that its accessors depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldFacts {
    pub(crate) set: AccessorSet,
    pub(crate) is_skipped: bool,
    pub(crate) is_secret: bool,
    pub(crate) merge: Merge,
    pub(crate) class: Option<FieldClass>,
}

/// The shape of an accessor, apart from its name.
pub(crate) struct Signature {
    pub(crate) is_mut: bool,
    pub(crate) parameter: Parameter,
    pub(crate) returns: Returns,
    /// The method of the library's handle that does the work.
    pub(crate) call: Call,
}

/// The parameter behind `self`.
pub(crate) enum Parameter {
    None,
    /// A value of the field's type.
    Value,
    /// An item of the field's type, a list.
    Item,
    /// An `i64`.
    Difference,
}

/// The return type.
pub(crate) enum Returns {
    Nothing,
    /// The getter's view of the value.
    View,
    Bool,
    /// A mutable borrow.
    Borrow,
    /// An `Option` of the value.
    Taken,
    /// The value.
    Value,
    /// A future of the value.
    Sum,
    /// A future of an `Option` of the value.
    Claimed,
}

/// A method of the library's handle.
pub(crate) enum Call {
    /// Generic over the field's type; the name depends on how the type is read.
    Read,
    /// Generic over the parameter's type; the name depends on what a setter takes.
    Write(&'static str),
    /// Generic over the field's type; the name depends on whether the field is an `Option`.
    Borrow(&'static str),
    /// Generic over the field's type.
    Typed(&'static str),
    /// Code that is the same for all types.
    Untyped(&'static str),
}

impl Accessor {
    /// The accessors of a field, in the order in which the documentation shows them.
    pub(crate) fn of(field: FieldFacts) -> impl Iterator<Item = Self> {
        let all: &[Self] = match field.set {
            AccessorSet::Plain => &[Self::Get, Self::Set, Self::Edit, Self::Reset, Self::Add, Self::FetchAdd],
            AccessorSet::Optional => &[Self::Get, Self::Has, Self::Set, Self::Edit, Self::Take, Self::Remove],
            AccessorSet::Flash => &[
                Self::Get,
                Self::Has,
                Self::Flash,
                Self::FlashNow,
                Self::Take,
                Self::Keep,
                Self::Discard,
                Self::Claim,
            ],
            AccessorSet::Once => &[Self::Set, Self::Claim],
            AccessorSet::FlashList => &[Self::Get, Self::Flash, Self::Take, Self::Keep, Self::Discard],
        };
        all.iter().copied().filter(move |accessor| match accessor {
            Self::Add | Self::FetchAdd => field.merge == Merge::Add && !field.is_skipped,
            // a change of users takes effect with the call, and a borrow has no such moment
            Self::Edit => field.class != Some(FieldClass::Identity),
            _ => true,
        })
    }

    /// The method's name for a field whose base name is `base`.
    pub(crate) fn name(self, base: &str) -> String {
        match self {
            Self::Get => base.to_owned(),
            Self::Has => format!("has_{base}"),
            Self::Set => format!("set_{base}"),
            Self::Edit => format!("{base}_mut"),
            Self::Reset => format!("reset_{base}"),
            Self::Add => format!("add_{base}"),
            Self::FetchAdd => format!("fetch_add_{base}"),
            Self::Take => format!("take_{base}"),
            Self::Remove => format!("remove_{base}"),
            Self::Flash => format!("flash_{base}"),
            Self::FlashNow => format!("flash_now_{base}"),
            Self::Keep => format!("keep_{base}"),
            Self::Discard => format!("discard_{base}"),
            Self::Claim => format!("claim_{base}"),
        }
    }

    pub(crate) const fn signature(self, set: AccessorSet) -> Signature {
        let (parameter, returns, call) = match self {
            Self::Flash if matches!(set, AccessorSet::FlashList) => {
                (Parameter::Item, Returns::Nothing, Call::Write("__field_flash_item"))
            }
            Self::Take if matches!(set, AccessorSet::FlashList) => {
                (Parameter::None, Returns::Value, Call::Typed("__field_take_list"))
            }
            Self::Discard if matches!(set, AccessorSet::FlashList) => {
                (Parameter::None, Returns::Nothing, Call::Untyped("__field_discard_list"))
            }
            Self::Get => (Parameter::None, Returns::View, Call::Read),
            Self::Has => (Parameter::None, Returns::Bool, Call::Untyped("__field_has")),
            // a new value has a stamp of its own, so that it is told from an equal one that was claimed
            Self::Set if matches!(set, AccessorSet::Once) => {
                (Parameter::Value, Returns::Nothing, Call::Write("__field_flash"))
            }
            Self::Set => (Parameter::Value, Returns::Nothing, Call::Write("__field_set")),
            Self::Edit => (Parameter::None, Returns::Borrow, Call::Borrow("__field_edit")),
            Self::Reset | Self::Remove => {
                (Parameter::None, Returns::Nothing, Call::Untyped("__field_remove"))
            }
            Self::Add => (Parameter::Difference, Returns::Nothing, Call::Untyped("__field_add")),
            Self::FetchAdd => (Parameter::Difference, Returns::Sum, Call::Typed("__field_fetch_add")),
            Self::Take => (Parameter::None, Returns::Taken, Call::Typed("__field_take")),
            Self::Flash => (Parameter::Value, Returns::Nothing, Call::Write("__field_flash")),
            Self::FlashNow => (Parameter::Value, Returns::Nothing, Call::Write("__field_flash_now")),
            Self::Keep => (Parameter::None, Returns::Nothing, Call::Untyped("__field_keep")),
            Self::Discard => (Parameter::None, Returns::Nothing, Call::Typed("__field_discard")),
            Self::Claim => (Parameter::None, Returns::Claimed, Call::Typed("__field_claim")),
        };
        Signature { is_mut: !matches!(self, Self::Get | Self::Has), parameter, returns, call }
    }

    /// The documentation, for a field that is called `name` in the struct.
    ///
    /// Short, since each view repeats it for each field, and the compiler takes its time over each.
    pub(crate) fn doc(self, name: &str, field: FieldFacts) -> String {
        let text = match self {
            Self::Get => return getter_doc(name, field),
            Self::Set | Self::Flash if field.is_secret => {
                return format!("{} The store gets it sealed.", self.sentence(field));
            }
            _ => self.sentence(field),
        };
        text.to_owned()
    }

    fn sentence(self, field: FieldFacts) -> &'static str {
        let class = field.class;
        match (self, class) {
            (Self::Has, Some(FieldClass::Identity)) => "Returns true if a user is logged in.",
            (Self::Has, _) if field.set == AccessorSet::Flash => {
                "Returns true if there is a flash to deliver."
            }
            (Self::Set, Some(FieldClass::Identity)) => {
                "Logs in: at commit the session gets a new secret, and the old cookie is void. \
                 A change of users drops every field that is not `keep_on_logout`."
            }
            (Self::Set, Some(FieldClass::Privilege)) if field.set != AccessorSet::Plain => {
                "Grants the right: at commit the session gets a new secret, and the old cookie is void."
            }
            (Self::Set, Some(FieldClass::Privilege)) => {
                "Grants the right: at commit the session gets a new secret, and the old cookie is void. \
                 Setting the default takes the right away."
            }
            (Self::Edit, Some(FieldClass::Privilege)) => {
                "Borrows the right mutably: a change brings a new secret at commit."
            }
            (Self::Reset | Self::Remove, Some(FieldClass::Privilege)) => {
                "Takes the right away, even if the request fails; at commit the session gets a new secret."
            }
            (Self::Take, Some(FieldClass::Privilege)) => {
                "Takes the right away, even if the request fails, and returns it."
            }
            (Self::Take, Some(FieldClass::Identity)) => {
                "Logs out and returns the identity: every field that is not `keep_on_logout` is dropped."
            }
            (Self::Remove, Some(FieldClass::Identity)) => {
                "Logs out, even if the request fails: every field that is not `keep_on_logout` is dropped, and the old \
                 cookie is void."
            }
            (Self::Take, _) if field.set == AccessorSet::Flash => {
                "Delivers the flash: it is gone once the request is answered."
            }
            (Self::Set, _) if field.set == AccessorSet::Once => {
                "Sets the value, which one request can claim. It takes the place of an earlier one."
            }
            (Self::Flash, _) if field.set == AccessorSet::FlashList => {
                "Adds a flash. It is stored until a request takes the list, this one or a later one."
            }
            (Self::Take, _) if field.set == AccessorSet::FlashList => {
                "Delivers the flashes: those of the list are gone once the request is answered."
            }
            (Self::Discard, _) if field.set == AccessorSet::FlashList => {
                "Removes the flashes of the list undelivered."
            }
            (Self::Keep, _) if field.set == AccessorSet::FlashList => {
                "Undoes this request's takes: a later request has the flashes again."
            }
            (Self::Set, _) => setter_sentence(field),
            (Self::Edit, _) => match field.merge {
                Merge::Add => "Borrows the field mutably: the difference is added to what is stored.",
                Merge::Max | Merge::Min | Merge::First => {
                    "Borrows the field mutably: the result counts as if it were set."
                }
                Merge::Entries => {
                    "Borrows the field mutably: each entry that then differs is written by itself."
                }
                Merge::Append => {
                    "Borrows the field mutably: items that are then there are written, each by itself, and those that \
                     are gone removed."
                }
                Merge::Last => "Borrows the field mutably: it is written if it then differs.",
                Merge::Cas => {
                    "Borrows the field mutably: a change is refused if another request makes one meanwhile."
                }
            },
            (Self::Get, _) => "Returns the field.",
            (Self::Has, _) => "Returns true if the field has a value.",
            (Self::Reset, _) if matches!(field.merge, Merge::Entries | Merge::Append) => {
                "Removes all that this request has seen. What another request adds meanwhile stays."
            }
            (Self::Reset, _) => "Removes the stored value: the field has its default again.",
            (Self::Add, _) => "Adds to the field. The additions of overlapping requests all count.",
            (Self::FetchAdd, _) => "Adds to the field in the store, now, and returns the sum.",
            (Self::Take, _) => "Removes the field and returns its value.",
            (Self::Remove, _) => "Removes the field.",
            (Self::Flash, _) => "Stores the flash until a request takes it, this one or a later one.",
            (Self::FlashNow, _) => "Shows this value as the flash in this request only.",
            (Self::Keep, _) => "Undoes this request's take: a later request has the flash again.",
            (Self::Discard, _) => "Removes the flash undelivered.",
            (Self::Claim, _) => {
                "Takes the value in the store, now: of all requests that claim it, one gets it, and the others `None`."
            }
        }
    }
}

/// The documentation of the setter of a field that is no right.
fn setter_sentence(field: FieldFacts) -> &'static str {
    match field.merge {
        _ if field.is_skipped => "Sets the field, which is never stored.",
        Merge::Max => "Raises the field to this value; a greater one stays.",
        Merge::Min => "Lowers the field to this value; a smaller one stays.",
        Merge::First => "Sets the field if it has no value yet.",
        Merge::Add => "Sets the field, and overwrites earlier additions.",
        Merge::Cas => "Sets the field, if no other request changes it meanwhile.",
        Merge::Entries => {
            "Sets all entries, and removes the other ones that this request has seen. What another request adds \
             meanwhile stays."
        }
        Merge::Append => {
            "Sets the list in place of the items that this request has seen. What another request pushes \
             meanwhile stays."
        }
        Merge::Last => match field.class {
            Some(FieldClass::KeepOnLogout) => "Sets the field, which a logout keeps.",
            Some(FieldClass::DropOnLogin) => "Sets the field, which a login drops.",
            _ => "Sets the field.",
        },
    }
}

/// The documentation of a getter whose field has none of its own.
fn getter_doc(name: &str, field: FieldFacts) -> String {
    let rest = match field.class {
        Some(FieldClass::Identity) => ", the logged-in user, if there is one.",
        Some(FieldClass::Privilege) => ", a right of this session.",
        _ if field.set == AccessorSet::Flash => ", the flash, and does not take it.",
        _ if field.set == AccessorSet::FlashList => ", the flashes, and does not take them.",
        _ if field.set != AccessorSet::Plain => ", if it has a value.",
        _ => ", or its default.",
    };
    format!("Returns `{name}`{rest}")
}
