//! Syntax: the attributes as they are written, each with the span that an error points at.
//!
//! A mistake in one attribute alone is reported here, and the attribute left out, so that it is reported once.

mod choices;
mod keys;
mod syntax;

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{Attribute, Lit, Meta, Path};

use crate::errors::Errors;
use crate::names::{self, RenameRule};
use crate::suggest;

pub(crate) use self::choices::{DefaultValue, EntryMerge, FieldClass, Merge, OnInvalid};
pub(crate) use self::keys::AttributeSite;
use self::syntax::{Entry, EntryValue};

/// Something written in an attribute, with its spans.
pub(crate) struct Given<T> {
    pub(crate) value: T,
    /// The span of the key.
    pub(crate) key: Span,
    /// The span of the literal behind the key; that of the key where there is none.
    pub(crate) literal: Span,
}

/// The struct's attributes. An attribute that is not written is `None`.
#[derive(Default)]
pub(crate) struct StructAttrs {
    pub(crate) namespace: Option<Given<String>>,
    pub(crate) rename_all: Option<Given<RenameRule>>,
    pub(crate) krate: Option<Given<Path>>,
    pub(crate) handle: Option<Given<Ident>>,
}

/// A field's attributes. An attribute that is not written is `None`.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub(crate) flash: Option<Span>,
    pub(crate) default: Option<Given<DefaultValue>>,
    pub(crate) rename: Option<Given<String>>,
    pub(crate) aliases: Vec<Given<String>>,
    pub(crate) skip: Option<Given<()>>,
    pub(crate) with: Option<Given<Path>>,
    pub(crate) merge: Option<Given<Merge>>,
    pub(crate) entry: Option<Given<EntryMerge>>,
    pub(crate) keep_last: Option<Given<TokenStream>>,
    pub(crate) class: Option<Given<FieldClass>>,
    pub(crate) secret: Option<Given<()>>,
    pub(crate) index: Option<Given<()>>,
    pub(crate) on_invalid: Option<Given<OnInvalid>>,
    pub(crate) copy: Option<Given<()>>,
    pub(crate) accessor: Option<Given<Ident>>,
    pub(crate) logical_type: Option<Given<String>>,
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
            key => refuse(AttributeSite::Struct, key, entry, errors),
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
            "index" => put(&mut self.index, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "skip" => put(&mut self.skip, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "with" => put(&mut self.with, entry, errors, path),
            "merge" => put(&mut self.merge, entry, errors, merge),
            "entry" => {
                put(&mut self.entry, entry, errors, |entry, errors| one_of(entry, &EntryMerge::ALL, errors));
            }
            "keep_last" => put(&mut self.keep_last, entry, errors, number),
            "privilege" | "identity" | "keep_on_logout" | "drop_on_login" => self.take_class(entry, errors),
            "secret" => put(&mut self.secret, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "on_invalid" => put(&mut self.on_invalid, entry, errors, |entry, errors| {
                one_of(entry, &OnInvalid::ALL, errors)
            }),
            "copy" => put(&mut self.copy, entry, errors, |entry, errors| Some(bare(entry, errors))),
            "accessor" => put(&mut self.accessor, entry, errors, ident),
            "type" => put(&mut self.logical_type, entry, errors, logical_type),
            key => {
                refuse(AttributeSite::Field, key, entry, errors);
                if key == "flash" {
                    // the intention is clear, and other code calls the accessors of a flash
                    self.flash.get_or_insert(entry.span);
                }
            }
        }
    }

    /// Takes one of the keys that name a class; they exclude each other.
    fn take_class(&mut self, entry: &Entry, errors: &mut Errors) {
        let Some(class) = FieldClass::ALL.into_iter().find(|class| class.key() == entry.key) else {
            return;
        };
        let given = bare(entry, errors);
        match &self.class {
            Some(first) if first.value == class => {
                errors.at(entry.span, format!("`{}` is given twice; remove one", entry.key));
            }
            Some(Given { value: first, .. }) => errors.at(
                entry.span,
                format!(
                    "`{}` {}, and `{}` {}; remove one of them",
                    first.key(),
                    first.meaning(),
                    class.key(),
                    class.meaning()
                ),
            ),
            None => {
                self.class = Some(Given { value: class, key: given.key, literal: given.literal });
            }
        }
    }
}

fn refuse(site: AttributeSite, key: &str, entry: &Entry, errors: &mut Errors) {
    if let Some(message) = keys::refuse(site, key) {
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
    if !matches!(entry.value, EntryValue::Bare) {
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
        EntryValue::Bare => errors.at(entry.span, format!("`{key}` needs a value; write `{usage}`")),
        EntryValue::List => {
            errors.at(entry.span, format!("`{key}` takes its value behind `=`; write `{usage}`"));
        }
        EntryValue::Broken(span) => {
            errors.at(*span, format!("`{key}` needs a string behind `=`; write `{usage}`"));
        }
        EntryValue::Assigned(expr) => match syn::parse2::<Path>(expr.clone()) {
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

/// Reads the name of a type for comparisons. An empty one would say nothing.
fn logical_type(entry: &Entry, errors: &mut Errors) -> Option<Given<String>> {
    let given = string(entry, errors)?;
    if given.value.trim().is_empty() {
        errors.at(given.literal, "`type` is empty; write a name for the type, such as `type = \"user-id\"`");
        return None;
    }
    Some(given)
}

/// Reads a string that is one of a few.
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

/// Reads a number of at least one, or an expression that is one.
fn number(entry: &Entry, errors: &mut Errors) -> Option<Given<TokenStream>> {
    let (key, usage) = (&entry.key, keys::usage(&entry.key));
    let refuse = |span, errors: &mut Errors| {
        errors.at(span, format!("`{key}` takes a number of at least one behind `=`; write `{usage}`"));
        None
    };
    match &entry.value {
        EntryValue::Assigned(expr) => {
            let is_wrong = match syn::parse2::<Lit>(expr.clone()) {
                Ok(Lit::Int(number)) => number.base10_parse::<usize>().map_or(true, |number| number == 0),
                Ok(_) => true,
                Err(_) => false,
            };
            if is_wrong {
                return refuse(span_of(expr), errors);
            }
            Some(Given { value: expr.clone(), key: entry.span, literal: span_of(expr) })
        }
        EntryValue::Broken(span) => refuse(*span, errors),
        EntryValue::Bare | EntryValue::List => refuse(entry.span, errors),
    }
}

fn default_value(entry: &Entry, errors: &mut Errors) -> Option<Given<DefaultValue>> {
    let (value, literal) = match &entry.value {
        EntryValue::Bare => (DefaultValue::OfType, entry.span),
        EntryValue::Assigned(expr) => (DefaultValue::Expression(expr.clone()), span_of(expr)),
        EntryValue::List => {
            errors.at(
                entry.span,
                "`default` takes its value behind `=`; write `default = …`, or `default` alone",
            );
            return None;
        }
        EntryValue::Broken(span) => {
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
