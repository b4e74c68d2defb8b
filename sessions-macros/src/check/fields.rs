//! Rules over one field: its attributes against each other and against its type.

use proc_macro2::Span;
use syn::Type;

use crate::attr::{DefaultValue, FieldClass, Given, Merge};
use crate::errors::Errors;
use crate::model::{Field, Origin};
use crate::types::{self, TypeKind};

use super::index;

/// Applies the rules in this order: a later one does not see what an earlier one removed.
pub(super) fn check(field: &mut Field, errors: &mut Errors) {
    flash_needs_an_option(field, errors);
    flash_is_stored_and_delivered_once(field, errors);
    skip_has_nothing_to_store(field, errors);
    secrets_are_sealed_whole(field, errors);
    rights_are_granted_and_taken_away(field, errors);
    index::check(field, errors);
    identity_needs_an_option(field, errors);
    option_has_a_default(field, errors);
    copy_needs_a_copy_type(field, errors);
    merge_counts_what_serde_writes(field, errors);
    merge_counts_in_64_bits(field, errors);
    merge_add_needs_a_number(field, errors);
    no_references(field, errors);
}

/// A flash is absent once it is delivered, so its type must have a value for "absent".
fn flash_needs_an_option(field: &mut Field, errors: &mut Errors) {
    if field.ty.optional || matches!(field.ty.kind, TypeKind::Vec(_)) {
        return;
    }
    if let Some(flash) = field.flash.take() {
        let ty = types::text(&field.ty.ty);
        let message = format!(
            "`#[flash]` needs an `Option<T>`, or a `Vec<T>` for a list of flashes, since a flash is absent once it is delivered; write `{}: Option<{ty}>`",
            field.member
        );
        errors.at(flash, message);
    }
}

/// A flash travels through the store to one reader, which leaves nothing for `skip`, `default` or `merge` to say.
fn flash_is_stored_and_delivered_once(field: &mut Field, errors: &mut Errors) {
    if field.flash.is_none() {
        return;
    }
    let mut refuse = |key: Option<Span>, name: &str, why: &str| {
        if let Some(key) = key {
            errors.at(key, format!("`{name}` contradicts `#[flash]`, {why}; remove one of them"));
        }
    };
    refuse(key(field.skip.take()), "skip", "which is stored until it is delivered");
    refuse(key(field.default.take()), "default", "which is `None` until there is something to deliver");
    refuse(key(field.merge.take()), "merge", "which is delivered once and never merged");
}

/// A field that is never stored has no stored name, no encoding, no conflicts and no value that could fail to decode.
fn skip_has_nothing_to_store(field: &mut Field, errors: &mut Errors) {
    if field.skip.is_none() {
        return;
    }
    let mut refuse = |key: Option<Span>, name: &str| {
        if let Some(key) = key {
            errors.at(
                key,
                format!(
                    "`{name}` has no meaning with `skip`, since the field is never stored; remove one of them"
                ),
            );
        }
    };
    refuse(written(field.name.origin), "rename");
    for alias in field.aliases.drain(..) {
        refuse(written(alias.origin), "alias");
    }
    refuse(key(field.with.take()), "with");
    refuse(key(field.merge.take()), "merge");
    refuse(key(field.secret.take()), "secret");
    refuse(key(field.on_invalid.take()), "on_invalid");
    refuse(key(field.logical_type.take()), "type");
    let outlives = field.class.take_if(|class| !class.value.is_right());
    if let Some(class) = outlives {
        refuse(Some(class.key), class.value.key());
    }
}

/// The store does the merging, and it cannot read a sealed value. The entries of a collection are sealed one by one.
fn secrets_are_sealed_whole(field: &mut Field, errors: &mut Errors) {
    if field.secret.is_none() {
        return;
    }
    if let Some(merge) =
        field.merge.take_if(|merge| !matches!(merge.value, Merge::Last | Merge::Entries | Merge::Append))
    {
        let name = merge.value.name();
        errors.at(
            merge.literal,
            format!(
                "`merge = \"{name}\"` contradicts `secret`, since the store cannot read what is sealed; remove one of them"
            ),
        );
    }
}

/// A right is granted and taken away by one request, with a new secret: it is neither delivered once nor merged with
/// the value of another request.
fn rights_are_granted_and_taken_away(field: &mut Field, errors: &mut Errors) {
    let Some(class) = field.class.as_ref().filter(|class| class.value.is_right()) else { return };
    let mut contradiction = None;
    if field.flash.is_some() {
        contradiction = Some("`#[flash]`, which is delivered once".to_owned());
    } else if field.skip.is_some() {
        contradiction = Some("`skip`, since what is not stored is no right of the session".to_owned());
    } else if let Some(merge) = field.merge.take_if(|merge| merge.value != Merge::Last) {
        let name = merge.value.name();
        contradiction =
            Some(format!("`merge = \"{name}\"`, since a right is never merged with that of another request"));
        (field.entry, field.keep_last) = (None, None);
    }
    if let Some(contradiction) = contradiction {
        let key = class.value.key();
        errors.at(class.key, format!("`{key}` contradicts {contradiction}; remove one of them"));
        field.class = None;
    }
}

/// At first no user is logged in, which must be a value of the field's type.
fn identity_needs_an_option(field: &mut Field, errors: &mut Errors) {
    let is_identity = |class: &mut Given<FieldClass>| class.value == FieldClass::Identity;
    if field.ty.optional {
        return;
    }
    if let Some(identity) = field.class.take_if(is_identity) {
        let ty = types::text(&field.ty.ty);
        let message = format!(
            "`identity` needs an `Option<T>`, since at first no user is logged in; write `{}: Option<{ty}>`",
            field.member
        );
        errors.at(identity.key, message);
    }
}

/// An `Option` that the store does not have is `None`; a second meaning of absence could never be cleared.
fn option_has_a_default(field: &mut Field, errors: &mut Errors) {
    if field.ty.optional
        && let Some(default) = field.default.take()
    {
        let ty = types::text(&field.ty.ty);
        let message = format!(
            "`default` does not fit an `Option`, which is `None` when absent; write `{}: {ty}`, or remove it",
            field.member
        );
        errors.at(default.key, message);
    }
}

/// A type that is visibly not `Copy` is refused here, any other by the compiler.
fn copy_needs_a_copy_type(field: &mut Field, errors: &mut Errors) {
    if matches!(field.ty.kind, TypeKind::String | TypeKind::Vec(_) | TypeKind::Owning)
        && let Some(copy) = field.copy.take()
    {
        errors.at(
            copy.key,
            format!("`copy` does not fit `{}`, which is not `Copy`; remove it", types::text(&field.ty.ty)),
        );
    }
}

/// The stores add and compare the integers that serde writes, not the text that a module writes instead.
fn merge_counts_what_serde_writes(field: &mut Field, errors: &mut Errors) {
    if field.with.is_none() {
        return;
    }
    let counts = |merge: &mut Given<Merge>| matches!(merge.value, Merge::Add | Merge::Max | Merge::Min);
    if let Some(merge) = field.merge.take_if(counts) {
        let name = merge.value.name();
        errors.at(
            merge.literal,
            format!(
                "`merge = \"{name}\"` does not fit `with`, since stores count in JSON integers; remove `with`, or write `last` or `first`"
            ),
        );
    }
}

/// The stores add and compare integers of at most 64 bits. A type that is visibly another is refused here.
fn merge_counts_in_64_bits(field: &mut Field, errors: &mut Errors) {
    let Some(merge) = &field.merge else { return };
    if !matches!(merge.value, Merge::Add | Merge::Max | Merge::Min) {
        return;
    }
    let (name, ty) = (merge.value.name(), types::text(&field.ty.ty));
    let message = match &field.ty.kind {
        TypeKind::WideInteger => format!(
            "`merge = \"{name}\"` does not fit `{ty}`, since stores count in 64 bits; write `{}64`, or remove it",
            if ty.ends_with("u128") { 'u' } else { 'i' }
        ),
        TypeKind::Scalar | TypeKind::String | TypeKind::Vec(_) | TypeKind::Owning | TypeKind::Compound => {
            format!(
                "`merge = \"{name}\"` does not fit `{ty}`; use it with `u8` to `u64`, `i8` to `i64`, `usize` or `isize`, or write `last` or `first`"
            )
        }
        TypeKind::Integer | TypeKind::Reference | TypeKind::Unknown => return,
    };
    errors.at(merge.literal, message);
    field.merge = None;
}

/// An addition needs a number to begin with, and an absent one has none; a plain number has its default.
fn merge_add_needs_a_number(field: &mut Field, errors: &mut Errors) {
    if field.ty.optional
        && let Some(merge) = field.merge.take_if(|merge| merge.value == Merge::Add)
    {
        let ty = types::text(&field.ty.ty);
        errors.at(
            merge.literal,
            format!("`merge = \"add\"` does not fit an `Option`; write `{}: {ty}`", field.member),
        );
    }
}

/// A value is decoded from the store, so there is nothing that it could borrow from.
///
/// The field stays as one that is skipped and never made, which asks nothing of its type.
fn no_references(field: &mut Field, errors: &mut Errors) {
    if !matches!(field.ty.kind, TypeKind::Reference) {
        return;
    }
    let (found, owned) = (types::text(&field.ty.ty), owned(&field.ty.ty));
    let (found, owned) = if field.ty.optional {
        (format!("Option<{found}>"), format!("Option<{owned}>"))
    } else {
        (found, owned)
    };
    errors.over(&field.ty.ty, format!("`{found}` borrows, and a field owns its value; write `{owned}`"));
    let at = Span::call_site();
    field.skip.get_or_insert(Given { value: (), key: at, literal: at });
    if !field.ty.optional {
        field.default = Some(Given { value: DefaultValue::Refused, key: at, literal: at });
    }
}

/// Returns the type that owns what a reference borrows.
fn owned(ty: &Type) -> String {
    match ty {
        Type::Reference(reference) => owned(&reference.elem),
        Type::Slice(slice) => format!("Vec<{}>", types::text(&slice.elem)),
        _ => match types::text(ty).as_str() {
            "str" => "String".to_owned(),
            "Path" => "PathBuf".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn key<T>(given: Option<Given<T>>) -> Option<Span> {
    given.map(|given| given.key)
}

const fn written(origin: Origin) -> Option<Span> {
    match origin {
        Origin::Written { key, .. } => Some(key),
        Origin::Member(_) => None,
    }
}
