//! Rules that need more than one attribute, or an attribute and a type. One function each.
//!
//! A rule that reports an attribute also removes it, so that no later rule, and no error of the compiler in the
//! expansion, reports it again.

mod clashes;
mod collections;
mod fields;
mod index;
mod stored;

use crate::attr::FieldClass;
use crate::errors::Errors;
use crate::model::View;

/// Applies every rule.
pub(crate) fn view(view: &mut View, errors: &mut Errors) {
    clashes::handle(view, errors);
    for field in &mut view.fields {
        collections::check(field, errors);
        fields::check(field, errors);
    }
    one_identity(view, errors);
    clashes::reserved(view, errors);
    stored::namespace(view, errors);
    stored::names(view, errors);
    stored::collisions(view, errors);
    clashes::accessors(view, errors);
}

/// A session belongs to one user, so that a logout is one call.
fn one_identity(view: &mut View, errors: &mut Errors) {
    let mut first: Option<String> = None;
    for field in &mut view.fields {
        let Some(identity) = field.class.take_if(|class| class.value == FieldClass::Identity) else {
            continue;
        };
        if let Some(first) = &first {
            errors.at(
                identity.key,
                format!(
                    "a session has one identity, which is `{first}`; write `privilege` for another right"
                ),
            );
        } else {
            first = Some(field.member.to_string());
            field.class = Some(identity);
        }
    }
}
