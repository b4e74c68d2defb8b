//! Rules that need more than one attribute, or an attribute and a type. One function each.
//!
//! A rule that reports something also takes it back, so that no later rule, and no compiler error in the expansion,
//! reports it again.

mod clashes;
mod fields;
mod stored;

use crate::attr::Standing;
use crate::errors::Errors;
use crate::model::View;

/// Applies every rule.
pub(crate) fn view(view: &mut View, errors: &mut Errors) {
    clashes::handle(view, errors);
    for field in &mut view.fields {
        fields::check(field, errors);
    }
    one_identity(view, errors);
    clashes::reserved(view, errors);
    stored::namespace(view, errors);
    stored::names(view, errors);
    stored::collisions(view, errors);
    clashes::accessors(view, errors);
}

/// A session is one user's.
fn one_identity(view: &mut View, errors: &mut Errors) {
    let mut first: Option<String> = None;
    for field in &mut view.fields {
        let Some(identity) = field.standing.take_if(|standing| standing.value == Standing::Identity) else {
            continue;
        };
        if let Some(first) = &first {
            errors.at(
                identity.key,
                format!(
                    "a session is one user's, and `{first}` says whose; write `privilege` for another right"
                ),
            );
        } else {
            first = Some(field.member.to_string());
            field.standing = Some(identity);
        }
    }
}
