//! Syntax: the attributes as they are written, each with the place to point at.
//!
//! What is wrong with one attribute alone is reported here and then left out, so that it is not reported again.

pub(crate) mod keys;
mod syntax;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Meta, Path};

use crate::errors::Errors;
use crate::names::{self, RenameRule};
use crate::suggest;

use self::keys::Place;
use self::syntax::{Entry, Value};

/// Something written in an attribute, and where.
pub(crate) struct Given<T> {
    pub(crate) value: T,
    /// The key.
    pub(crate) key: Span,
    /// The literal behind the key; the key where there is none.
    pub(crate) literal: Span,
}

/// The struct's attributes. `None` is what is not written.
#[derive(Default)]
pub(crate) struct StructAttrs {
    pub(crate) namespace: Option<Given<String>>,
    pub(crate) rename_all: Option<Given<RenameRule>>,
    pub(crate) krate: Option<Given<Path>>,
    pub(crate) handle: Option<Given<Ident>>,
}

/// A field's attributes. `None` is what is not written.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub(crate) flash: Option<Span>,
    pub(crate) default: Option<Given<DefaultValue>>,
    pub(crate) rename: Option<Given<String>>,
    pub(crate) aliases: Vec<Given<String>>,
    pub(crate) skip: Option<Given<()>>,
    pub(crate) with: Option<Given<Path>>,
    pub(crate) merge: Option<Given<Merge>>,
    pub(crate) standing: Option<Given<Standing>>,
    pub(crate) secret: Option<Given<()>>,
    pub(crate) on_invalid: Option<Given<OnInvalid>>,
    pub(crate) copy: Option<Given<()>>,
    pub(crate) accessor: Option<Given<Ident>>,
}

/// The value of a field that the store does not have.
pub(crate) enum DefaultValue {
    /// `Default::default()`.
    OfType,
    Expression(TokenStream),
}

/// What a field is to whoever uses the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Privilege,
    Identity,
    KeepOnLogout,
    DropOnLogin,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Privilege, Self::Identity, Self::KeepOnLogout, Self::DropOnLogin];

    /// The key that says so.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Privilege => "privilege",
            Self::Identity => "identity",
            Self::KeepOnLogout => "keep_on_logout",
            Self::DropOnLogin => "drop_on_login",
        }
    }

    pub(crate) const fn is_right(self) -> bool {
        matches!(self, Self::Privilege | Self::Identity)
    }

    /// What it means, after the key.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Privilege => "is a right",
            Self::Identity => "is who is logged in, and a right already",
            Self::KeepOnLogout => "belongs to the browser and outlives a logout",
            Self::DropOnLogin => "does not outlive a login",
        }
    }
}

/// What happens when two requests change one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merge {
    Last,
    Add,
    Max,
    Min,
    First,
}

impl Merge {
    const ALL: [(&str, Self); 5] = [
        ("last", Self::Last),
        ("add", Self::Add),
        ("max", Self::Max),
        ("min", Self::Min),
        ("first", Self::First),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Add => "add",
            Self::Max => "max",
            Self::Min => "min",
            Self::First => "first",
        }
    }
}

/// What happens to a stored value that does not decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnInvalid {
    Reset,
    Reject,
}

impl OnInvalid {
    const ALL: [(&str, Self); 2] = [("reset", Self::Reset), ("reject", Self::Reject)];
}

impl StructAttrs {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut read = Self::default();
        for attr in attrs {
            if attr.path().is_ident("flash") {
                errors.over(
                    attr.path(),
                    "`#[flash]` belongs on a field; write it above a field of type `Option<T>`",
                );
            } else if attr.path().is_ident("session") {
                for entry in syntax::entries(attr, errors) {
                    read.take(&entry, errors);
                }
            }
        }
        read
    }

    fn take(&mut self, entry: &Entry, errors: &mut Errors) {
        match entry.key.as_str() {
            "namespace" => put(&mut self.namespace, entry, errors, string),
            "rename_all" => put(&mut self.rename_all, entry, errors, |entry, errors| {
                one_of(entry, &RenameRule::ALL, errors)
            }),
            "crate" => put(&mut self.krate, entry, errors, path),
            "handle" => put(&mut self.handle, entry, errors, ident),
            key => refuse(Place::Struct, key, entry, errors),
        }
    }
}

impl FieldAttrs {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut read = Self::default();
        for attr in attrs {
            if attr.path().is_ident("flash") {
                read.take_flash(attr, errors);
            } else if attr.path().is_ident("session") {
                for entry in syntax::entries(attr, errors) {
                    read.take(&entry, errors);
                }
            }
        }
        read
    }

    fn take_flash(&mut self, attr: &Attribute, errors: &mut Errors) {
        if self.flash.is_some() {
            errors.over(attr.path(), "`#[flash]` is given twice; remove one");
        } else if !matches!(attr.meta, Meta::Path(_)) {
            errors.over(attr.path(), "`flash` takes no arguments; write it bare, as `#[flash]`");
        }
        self.flash.get_or_insert_with(|| span_of(attr.path()));
    }

    fn take(&mut self, entry: &Entry, errors: &mut Errors) {
        match entry.key.as_str() {
            "default" => put(&mut self.default, entry, errors, default_value),
            "rename" => put(&mut self.rename, entry, errors, string),
            "alias" => self.aliases.extend(string(entry, errors)),
            "skip" => put(&mut self.skip, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "with" => put(&mut self.with, entry, errors, path),
            "merge" => put(&mut self.merge, entry, errors, merge),
            "privilege" | "identity" | "keep_on_logout" | "drop_on_login" => {
                self.take_standing(entry, errors)
            }
            "secret" => put(&mut self.secret, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "on_invalid" => put(&mut self.on_invalid, entry, errors, |entry, errors| {
                one_of(entry, &OnInvalid::ALL, errors)
            }),
            "copy" => put(&mut self.copy, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "accessor" => put(&mut self.accessor, entry, errors, ident),
            key => {
                refuse(Place::Field, key, entry, errors);
                if key == "flash" {
                    // what was meant is clear, and the accessors of a flash are used elsewhere
                    self.flash.get_or_insert(entry.span);
                }
            }
        }
    }
}

impl FieldAttrs {
    /// One of the keys that say what the field is to whoever uses the session: they exclude each other.
    fn take_standing(&mut self, entry: &Entry, errors: &mut Errors) {
        let Some(standing) = Standing::ALL.into_iter().find(|standing| standing.key() == entry.key) else {
            return;
        };
        let given = bare(entry, errors);
        match &self.standing {
            Some(first) if first.value == standing => {
                errors.at(entry.span, format!("`{}` is given twice; remove one", entry.key));
            }
            Some(Given { value: first, .. }) => errors.at(
                entry.span,
                format!(
                    "`{}` {}, and `{}` {}; remove one of them",
                    first.key(),
                    first.meaning(),
                    standing.key(),
                    standing.meaning()
                ),
            ),
            None => {
                self.standing = Some(Given { value: standing, key: given.key, literal: given.literal });
            }
        }
    }
}

fn refuse(place: Place, key: &str, entry: &Entry, errors: &mut Errors) {
    if let Some(message) = keys::refuse(place, key) {
        errors.at(entry.span, message);
    }
}

/// Reads the value of a key that may be written once. The first one counts.
fn put<T>(
    slot: &mut Option<Given<T>>,
    entry: &Entry,
    errors: &mut Errors,
    read: impl FnOnce(&Entry, &mut Errors) -> Option<Given<T>>,
) {
    if slot.is_some() {
        errors.at(entry.span, format!("`{}` is given twice; remove one", entry.key));
    } else {
        *slot = read(entry, errors);
    }
}

fn bare(entry: &Entry, errors: &mut Errors) -> Given<()> {
    if !matches!(entry.value, Value::Bare) {
        errors.at(entry.span, format!("`{0}` takes no value; write `{0}`", entry.key));
    }
    Given { value: (), key: entry.span, literal: entry.span }
}

fn string(entry: &Entry, errors: &mut Errors) -> Option<Given<String>> {
    if let Some(text) = entry.value.as_str() {
        return Some(Given { value: text.value(), key: entry.span, literal: text.span() });
    }
    let (key, usage) = (&entry.key, keys::usage(&entry.key));
    match &entry.value {
        Value::Bare => errors.at(entry.span, format!("`{key}` needs a value; write `{usage}`")),
        Value::List => errors.at(entry.span, format!("`{key}` takes its value behind `=`; write `{usage}`")),
        Value::Broken(span) => {
            errors.at(*span, format!("`{key}` needs a string behind `=`; write `{usage}`"));
        }
        Value::Assigned(expr) => match syn::parse2::<Path>(expr.clone()) {
            Ok(path) => {
                let word = path.to_token_stream().to_string().replace(' ', "");
                errors.over(expr, format!("`{key}` takes a string literal; write `{key} = \"{word}\"`"));
            }
            Err(_) => errors.over(expr, format!("`{key}` takes a string literal; write `{usage}`")),
        },
    }
    None
}

fn path(entry: &Entry, errors: &mut Errors) -> Option<Given<Path>> {
    let text = entry.value.as_str();
    let given = string(entry, errors)?;
    let value = text.and_then(|text| text.parse_with(Path::parse_mod_style).ok());
    if value.is_none() {
        errors.at(
            given.literal,
            format!("`{}` is not a path; write `{}`", given.value, keys::usage(&entry.key)),
        );
    }
    Some(Given { value: value?, key: given.key, literal: given.literal })
}

fn ident(entry: &Entry, errors: &mut Errors) -> Option<Given<Ident>> {
    let given = string(entry, errors)?;
    let value = names::ident(&given.value, Span::call_site().located_at(given.literal));
    if value.is_none() {
        let message = format!(
            "`{}` is not an identifier; write letters, digits and `_`, with no digit first",
            given.value
        );
        errors.at(given.literal, message);
    }
    Some(Given { value: value?, key: given.key, literal: given.literal })
}

fn merge(entry: &Entry, errors: &mut Errors) -> Option<Given<Merge>> {
    if let Some(text) = entry.value.as_str().filter(|text| text.value() == "cas") {
        let list = suggest::list(&Merge::ALL.map(|(name, _)| name));
        errors.at(
            text.span(),
            format!("`merge = \"cas\"` is not available in this version; write one of {list}"),
        );
        return None;
    }
    one_of(entry, &Merge::ALL, errors)
}

/// A string that is one of a few.
fn one_of<T: Copy>(entry: &Entry, choices: &[(&'static str, T)], errors: &mut Errors) -> Option<Given<T>> {
    let given = string(entry, errors)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == given.value) {
        return Some(Given { value: *value, key: given.key, literal: given.literal });
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let instead = match suggest::nearest(&given.value, &names) {
        Some(near) => format!("`{near}`"),
        None => format!("one of {}", suggest::list(&names)),
    };
    errors.at(given.literal, format!("unknown value `{}` for `{}`; write {instead}", given.value, entry.key));
    None
}

fn default_value(entry: &Entry, errors: &mut Errors) -> Option<Given<DefaultValue>> {
    let (value, literal) = match &entry.value {
        Value::Bare => (DefaultValue::OfType, entry.span),
        Value::Assigned(expr) => (DefaultValue::Expression(expr.clone()), span_of(expr)),
        Value::List => {
            errors.at(
                entry.span,
                "`default` takes its value behind `=`; write `default = …`, or `default` alone",
            );
            return None;
        }
        Value::Broken(span) => {
            errors.at(
                *span,
                "`default` needs an expression behind `=`; write `default = …`, or `default` alone",
            );
            return None;
        }
    };
    Some(Given { value, key: entry.span, literal })
}

fn span_of(tokens: impl ToTokens) -> Span {
    syn::spanned::Spanned::span(&tokens)
}
