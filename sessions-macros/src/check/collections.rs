//! Rules over collections, whose entries are fields of their own.

use crate::attr::{DefaultValue, EntryMerge, Merge};
use crate::errors::Errors;
use crate::model::Field;
use crate::types::{self, TypeKind};

/// Applies the rules in this order: a later one does not see what an earlier one removed.
pub(super) fn check(field: &mut Field, errors: &mut Errors) {
    collections_name_their_merge(field, errors);
    merge_fits_the_collection(field, errors);
    collections_are_stored_by_entry(field, errors);
    secret_keys_are_not_sealed(field, errors);
    entry_is_about_a_map(field, errors);
    keep_last_is_about_a_list(field, errors);
}

/// Two requests that put different things into one collection lose one of them, unless the field says otherwise.
fn collections_name_their_merge(field: &mut Field, errors: &mut Errors) {
    let is_right = field.class.as_ref().is_some_and(|class| class.value.is_right());
    let is_one_value = field.flash.is_some() || field.skip.is_some() || field.with.is_some();
    if field.merge.is_some() || is_right || is_one_value {
        return;
    }
    let Some(name) = types::collection(&field.ty.ty) else { return };
    let merge = by_entry(name);
    let ty = types::text(&field.ty.ty);
    if field.secret.is_some() && merge == "entries" && is_set(name) {
        errors.over(
            &field.ty.ty,
            "a collection says what becomes of it when two requests change it at once; write `#[session(merge = \"last\")]`, since the elements of a secret set are not stored one by one",
        );
        return;
    }
    let instead = if field.ty.optional {
        format!("`{}: {ty}` with `#[session(merge = \"{merge}\")]`", field.member)
    } else {
        format!("`#[session(merge = \"{merge}\")]`")
    };
    errors.over(
        &field.ty.ty,
        format!(
            "a collection says what becomes of it when two requests change it at once; write {instead} to keep what both put there, or `#[session(merge = \"last\")]` to keep the last one whole"
        ),
    );
}

/// `entries` is for maps and sets, `append` for lists. A type that is visibly another is refused here.
fn merge_fits_the_collection(field: &mut Field, errors: &mut Errors) {
    let Some(merge) = &field.merge else { return };
    let name = merge.value.name();
    if !is_collected(merge.value) {
        return;
    }
    let (ty, found) = (types::text(&field.ty.ty), types::collection(&field.ty.ty));
    let fitting = if merge.value == Merge::Entries {
        "a `HashMap`, `BTreeMap`, `HashSet` or `BTreeSet`"
    } else {
        "a `Vec`"
    };
    let message = if field.ty.optional {
        format!(
            "`merge = \"{name}\"` does not fit an `Option`, since a collection without entries is absent; write `{}: {ty}`",
            field.member
        )
    } else if let Some(found) = found {
        let right = by_entry(found);
        if right == name {
            return;
        }
        format!("`merge = \"{name}\"` is for {fitting}; write `merge = \"{right}\"` for `{ty}`")
    } else if matches!(field.ty.kind, TypeKind::Unknown) && merge.value == Merge::Entries {
        return;
    } else {
        format!("`merge = \"{name}\"` is for {fitting}, not for `{ty}`; write `merge = \"last\"`")
    };
    errors.at(merge.literal, message);
    (field.merge, field.entry, field.keep_last) = (None, None, None);
}

/// The store has entries and no whole, so there is nothing that a default or a module would be the whole of.
fn collections_are_stored_by_entry(field: &mut Field, errors: &mut Errors) {
    let Some(merge) = field.merge.as_ref().filter(|merge| is_collected(merge.value)) else { return };
    let name = merge.value.name();
    if let Some(with) = field.with.take() {
        errors.at(
            with.key,
            format!(
                "`with` contradicts `merge = \"{name}\"`, which stores each entry as serde writes it; remove one of them"
            ),
        );
    }
    let is_expression = |default: &DefaultValue| matches!(default, DefaultValue::Expression(_));
    if let Some(default) = field.default.take_if(|default| is_expression(&default.value)) {
        errors.at(
            default.key,
            format!(
                "`default` contradicts `merge = \"{name}\"`, since a collection without entries is empty; remove it, or write `merge = \"last\"`"
            ),
        );
    }
}

/// The elements of a set are keys, which the store can read.
fn secret_keys_are_not_sealed(field: &mut Field, errors: &mut Errors) {
    let is_secret_set = types::collection(&field.ty.ty).is_some_and(is_set)
        && field.secret.is_some()
        && field.merge.as_ref().is_some_and(|m| m.value == Merge::Entries);
    if is_secret_set && let Some(merge) = field.merge.take() {
        errors.at(
            merge.literal,
            "`merge = \"entries\"` contradicts `secret` on a set, whose elements would be readable as keys in the store; write `merge = \"last\"`, or keep them as the values of a map",
        );
    }
}

/// The entries of a set have no value, and an item of a list has no key.
fn entry_is_about_a_map(field: &mut Field, errors: &mut Errors) {
    let is_entries = field.merge.as_ref().is_some_and(|merge| merge.value == Merge::Entries);
    let Some(entry) = &field.entry else { return };
    let counts = entry.value != EntryMerge::Last;
    let message = if !is_entries {
        "`entry` says how one entry of a map is merged; write `merge = \"entries\"` beside it, or remove it"
    } else if counts && types::collection(&field.ty.ty).is_some_and(is_set) {
        "`entry` is about the values of a map, and a set has none; remove it, or write a map of numbers"
    } else if counts && field.secret.is_some() {
        "`entry` contradicts `secret`, since the store cannot read what is sealed; remove one of them"
    } else {
        return;
    };
    errors.at(entry.key, message);
    field.entry = None;
}

/// Other fields keep one value.
fn keep_last_is_about_a_list(field: &mut Field, errors: &mut Errors) {
    let is_list = field.merge.as_ref().is_some_and(|merge| merge.value == Merge::Append)
        || (field.is_flash_list() && matches!(field.ty.kind, TypeKind::Vec(_)));
    if !is_list && let Some(keep_last) = field.keep_last.take() {
        errors.at(
            keep_last.key,
            "`keep_last` says how many items of a list stay; write `merge = \"append\"` or `#[flash]` beside it, on a `Vec`, or remove it",
        );
    }
}

/// Returns true if entries are merged one by one.
const fn is_collected(merge: Merge) -> bool {
    matches!(merge, Merge::Entries | Merge::Append)
}

fn is_set(collection: &str) -> bool {
    matches!(collection, "HashSet" | "BTreeSet")
}

/// Returns the merge that keeps what both of two requests put into a collection of this name.
fn by_entry(collection: &str) -> &'static str {
    if collection == "Vec" { "append" } else { "entries" }
}
