//! Rules over the names under which fields are stored.

use std::collections::HashMap;

use crate::errors::Errors;
use crate::model::{Name, Origin, View};
use crate::names::MAX_STORED_BYTES;

/// A namespace is the beginning of every name, so a fault of it is reported once.
pub(super) fn namespace(view: &mut View, errors: &mut Errors) {
    let Some(namespace) = &view.namespace else {
        return;
    };
    let text = &namespace.value;
    // a dot and one byte must fit behind it
    let fault = fault(text, MAX_STORED_BYTES - 2).or_else(|| reserved(text)).or_else(|| ends_with_dot(text));
    if let Some(Fault { what, instead }) = fault {
        errors.at(namespace.literal, format!("{what}; write {instead}"));
        view.namespace = None;
    }
}

/// Stored names are keys in the stores, which keep those with `__` for themselves.
pub(super) fn names(view: &mut View, errors: &mut Errors) {
    let namespace_bytes = view.namespace.as_ref().map_or(0, |namespace| namespace.value.len() + 1);
    let has_namespace = view.namespace.is_some();
    let wrong = |name: &Name| {
        // the namespace, if there is one, is what the name begins with
        let reserved = if has_namespace { None } else { reserved(&name.text) };
        let fault = fault(&name.text, MAX_STORED_BYTES - namespace_bytes).or(reserved)?;
        Some(match name.origin {
            Origin::Member(_) => {
                format!("{}; write {} in `#[session(rename = \"…\")]`", fault.what, fault.instead)
            }
            Origin::Written { .. } => format!("{}; write {}", fault.what, fault.instead),
        })
    };
    for (index, field) in view.fields.iter_mut().enumerate().filter(|(_, field)| field.skip.is_none()) {
        if let Some(message) = wrong(&field.name) {
            errors.at(field.name.origin.span(), message);
            field.name.text = placeholder(index);
        }
        field.aliases.retain(|alias| match wrong(alias) {
            Some(message) => {
                errors.at(alias.origin.span(), message);
                false
            }
            None => true,
        });
    }
}

/// Two fields under one name would overwrite each other, and an alias that is another field's name would read that field.
///
/// Names that follow from the fields come first and aliases last, so that the error stands where a name was chosen.
pub(super) fn collisions(view: &mut View, errors: &mut Errors) {
    let mut owners: HashMap<String, Owner> = HashMap::new();
    let mut order: Vec<usize> = (0..view.fields.len()).filter(|&i| view.fields[i].skip.is_none()).collect();
    order.sort_by_key(|&i| matches!(view.fields[i].name.origin, Origin::Written { .. }));
    for &index in &order {
        let name = &view.fields[index].name;
        let stored = view.stored(name);
        if let Some(owner) = owners.get(&stored) {
            let instead = match name.origin {
                Origin::Member(_) => "write another with `#[session(rename = \"…\")]`",
                Origin::Written { .. } => "write another",
            };
            let other = &view.fields[owner.field].member;
            errors.at(
                name.origin.span(),
                format!("the stored name `{stored}` is also that of the field `{other}`; {instead}"),
            );
            view.fields[index].name.text = placeholder(index);
        } else {
            owners.insert(stored, Owner { field: index, is_alias: false });
        }
    }
    order.sort_unstable();
    for index in order {
        let mut aliases = std::mem::take(&mut view.fields[index].aliases);
        aliases.retain(|alias| {
            let stored = view.stored(alias);
            let message = match owners.get(&stored) {
                None => {
                    owners.insert(stored, Owner { field: index, is_alias: true });
                    return true;
                }
                Some(owner) if owner.field == index && owner.is_alias => {
                    format!("the alias `{stored}` is given twice; remove one")
                }
                Some(owner) if owner.field == index => {
                    format!("the alias `{stored}` is the stored name of the field itself; remove it")
                }
                Some(owner) => {
                    let what = if owner.is_alias { "an alias" } else { "the stored name" };
                    format!(
                        "the alias `{stored}` is also {what} of the field `{}`; remove one",
                        view.fields[owner.field].member
                    )
                }
            };
            errors.at(alias.origin.span(), message);
            false
        });
        view.fields[index].aliases = aliases;
    }
}

/// Returns a valid and unused name in place of one that was refused.
pub(super) fn placeholder(index: usize) -> String {
    format!("refused {index}")
}

/// The field that has a stored name.
struct Owner {
    field: usize,
    is_alias: bool,
}

/// A fault of a name.
struct Fault {
    what: String,
    /// The advice behind `write`.
    instead: String,
}

/// Returns the fault that a name, or a namespace, has by itself.
fn fault(text: &str, max_bytes: usize) -> Option<Fault> {
    let (what, instead) = if text.is_empty() {
        ("a stored name is never empty".to_owned(), "at least one character")
    } else if text.contains('[') {
        ("a stored name has no `[`, which begins the key of an entry".to_owned(), "one without it")
    } else if text.chars().any(char::is_control) {
        ("a stored name has no control characters".to_owned(), "one without them")
    } else if text.len() > max_bytes {
        let bytes = text.len() + MAX_STORED_BYTES - max_bytes;
        (
            format!(
                "a stored name has at most {MAX_STORED_BYTES} bytes, namespace included, and this one needs {bytes}"
            ),
            "a shorter one",
        )
    } else {
        return None;
    };
    Some(Fault { what, instead: instead.to_owned() })
}

fn reserved(text: &str) -> Option<Fault> {
    let free = text.trim_start_matches('_');
    let instead = if free.is_empty() { "another".to_owned() } else { format!("`{free}`") };
    text.starts_with("__")
        .then(|| Fault { what: "names that begin with `__` are reserved".to_owned(), instead })
}

fn ends_with_dot(text: &str) -> Option<Fault> {
    let instead = format!("`{}`", text.trim_end_matches('.'));
    text.ends_with('.')
        .then(|| Fault { what: "the derive adds the dot behind a namespace".to_owned(), instead })
}
