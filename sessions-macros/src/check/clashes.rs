//! Rules over the names that the derive gives to what it generates.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;

use super::stored;
use crate::errors::Errors;
use crate::model::{Origin, View};
use crate::names::{self, LIFECYCLE};

/// The handle stands beside the struct, so it needs another name.
pub(super) fn handle(view: &mut View, errors: &mut Errors) {
    if view.handle == view.ident {
        let other = format!("{}Handle", view.ident.unraw());
        errors.at(
            view.handle.span(),
            format!(
                "the handle is a struct of its own beside `{}`; write `handle = \"{other}\"`",
                view.ident
            ),
        );
        view.handle = Ident::new(&other, view.handle.span());
    }
}

/// The library's own methods begin with `__`, and an accessor of that name would be called in place of one.
pub(super) fn reserved(view: &mut View, errors: &mut Errors) {
    for (index, field) in view.fields.iter_mut().enumerate() {
        let base = field.base.text();
        if !base.starts_with("__") {
            continue;
        }
        let span = field.base.ident.span();
        let free = names::ident(base.trim_start_matches('_'), span);
        let free = free.unwrap_or_else(|| Ident::new(&format!("field{index}"), span));
        let message = "names that begin with `__` are reserved";
        match field.base.origin {
            Origin::Member(span) => {
                errors.at(span, format!("{message}; rename the field to `{free}`"));
                if matches!(field.name.origin, Origin::Member(_)) {
                    // renaming the field mends the stored name too
                    field.name.text = stored::placeholder(index);
                }
            }
            Origin::Written { literal, .. } => {
                errors.at(literal, format!("{message}; write `accessor = \"{}\"`", free.unraw()));
            }
        }
        field.base.ident = free;
    }
}

/// A method of the handle has one meaning: no two fields share one, and none hides a method of all handles.
///
/// Fields with an `accessor` of their own come last, so that the error stands where a name was chosen.
pub(super) fn accessors(view: &mut View, errors: &mut Errors) {
    let mut owners: HashMap<String, Option<String>> =
        LIFECYCLE.iter().map(|name| ((*name).to_owned(), None)).collect();
    let mut order: Vec<usize> = (0..view.fields.len()).collect();
    order.sort_by_key(|&i| matches!(view.fields[i].base.origin, Origin::Written { .. }));
    for index in order {
        let field = &view.fields[index];
        let methods = field.methods(&field.base.text());
        let clash = methods.iter().find_map(|method| owners.get(method).map(|owner| (method, owner)));
        if let Some((method, owner)) = clash {
            let free = free_base(view, index);
            let member = &field.member;
            let why = match owner {
                Some(other) => {
                    format!("`{method}()` would be generated for the field `{other}` and for `{member}`")
                }
                None => format!(
                    "`{method}()`, generated for the field `{member}`, would hide the session's own `{method}()`"
                ),
            };
            match field.base.origin {
                Origin::Member(span) => {
                    errors.at(span, format!("{why}; write `#[session(accessor = \"{free}\")]`"));
                }
                Origin::Written { literal, .. } => {
                    errors.at(literal, format!("{why}; write `accessor = \"{free}\"`"));
                }
            }
            let span = field.base.ident.span();
            view.fields[index].base.ident = ident(&free, span);
        }
        let field = &view.fields[index];
        let owner = field.member.to_string();
        owners.extend(
            field.methods(&field.base.text()).into_iter().map(|method| (method, Some(owner.clone()))),
        );
    }
}

/// Finds a base name for the accessors of the field `index` that clashes with nothing.
fn free_base(view: &View, index: usize) -> String {
    let mut taken: HashSet<String> = LIFECYCLE.iter().map(|name| (*name).to_owned()).collect();
    for (i, field) in view.fields.iter().enumerate() {
        if i != index {
            taken.extend(field.methods(&field.base.text()));
        }
    }
    let field = &view.fields[index];
    let (base, member) = (field.base.text(), field.member.unraw().to_string());
    let is_free = |base: &String| field.methods(base).iter().all(|method| !taken.contains(method));
    let named = [member, format!("{base}_value"), format!("{base}_field")].into_iter();
    let counted = (2..).map(|n| format!("{base}_{n}"));
    // invariant: there are more numbers than methods
    named.chain(counted).find(is_free).unwrap_or(base)
}

fn ident(base: &str, span: Span) -> Ident {
    // invariant: a member, or a valid identifier with more letters behind it
    names::ident(base, span).unwrap_or_else(|| Ident::new("field", span))
}
