//! Rules over what happens to a field when requests overlap: `group` and `once`.

use std::collections::HashMap;

use proc_macro2::Span;

use crate::attr::{FieldClass, Merge};
use crate::errors::Errors;
use crate::model::{Field, View};
use crate::types;

/// A field that is given to one request is absent for all others, so its type must have a value for "absent".
pub(super) fn once_needs_an_option(field: &mut Field, errors: &mut Errors) {
    if field.ty.optional {
        return;
    }
    if let Some(once) = field.once.take() {
        let ty = types::text(&field.ty.ty);
        errors.at(
            once.key,
            format!(
                "`once` needs an `Option<T>`, since the value is absent once a request has it; write `{}: Option<{ty}>`",
                field.member
            ),
        );
    }
}

/// What one request gets is neither shown to others nor merged, which leaves nothing for these keys to say.
pub(super) fn once_is_claimed_and_nothing_else(field: &mut Field, errors: &mut Errors) {
    if field.once.is_none() {
        return;
    }
    let mut refuse = |key: Option<Span>, name: &str, why: &str| {
        if let Some(key) = key {
            errors.at(key, format!("`{name}` contradicts `once`, {why}; remove one of them"));
        }
    };
    refuse(field.flash.take(), "flash", "which only `claim_…()` delivers");
    refuse(field.skip.take().map(|skip| skip.key), "skip", "which is stored until a request claims it");
    refuse(field.default.take().map(|default| default.key), "default", "which is `None` until it is set");
    refuse(field.merge.take().map(|merge| merge.key), "merge", "which one request gets whole");
    refuse(field.copy.take().map(|copy| copy.key), "copy", "which has no getter");
}

/// The version of a group guards plain values: what is delivered once, not stored, a right, or merged in another way
/// has rules of its own.
pub(super) fn groups_are_of_plain_fields(field: &mut Field, errors: &mut Errors) {
    let Some(group) = &field.group else { return };
    let right = field.class.as_ref().map(|class| class.value).filter(|class| class.is_right());
    let merge = field.merge.as_ref().map(|merge| merge.value).filter(|merge| *merge != Merge::Last);
    let contradiction = if field.flash.is_some() {
        "`#[flash]`, which is delivered once".to_owned()
    } else if field.once.is_some() {
        "`once`, which one request gets".to_owned()
    } else if field.skip.is_some() {
        "`skip`, since the field is never stored".to_owned()
    } else if let Some(right) = right {
        format!("`{}`, since a change of a right is guarded by the secret", right.key())
    } else if let Some(merge) = merge {
        format!("`merge = \"{}\"`, since a change of a group is refused and not merged", merge.name())
    } else {
        return;
    };
    errors.at(group.key, format!("`group` contradicts {contradiction}; remove one of them"));
    field.group = None;
}

/// The fields of a group share one version, which a logout and a login treat as they treat the fields.
pub(super) fn groups_are_of_one_class(view: &mut View, errors: &mut Errors) {
    let mut first: HashMap<String, (Option<FieldClass>, String)> = HashMap::new();
    for field in &mut view.fields {
        let Some(group) = &field.group else { continue };
        let class = field.class.as_ref().map(|class| class.value);
        let (known, member) =
            first.entry(group.value.clone()).or_insert_with(|| (class, field.member.to_string()));
        if *known == class {
            continue;
        }
        let instead = match known {
            Some(known) => format!("write `{}` here too", known.key()),
            None => format!("write it on `{member}` too"),
        };
        let what = class.or(*known).map_or("", FieldClass::key);
        errors.at(
            group.key,
            format!(
                "the fields of the group `{}` share one version, and `{what}` is on one of `{member}` and `{}` only; \
                 {instead}, or remove it",
                group.value, field.member
            ),
        );
        field.group = None;
    }
}
