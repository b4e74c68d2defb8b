//! Rules that need more than one attribute, or an attribute and a type. One function each.
//!
//! A rule that reports something also takes it back, so that no later rule, and no compiler error in the expansion,
//! reports it again.

mod clashes;
mod fields;
mod stored;

use crate::errors::Errors;
use crate::model::View;

/// Applies every rule.
pub(crate) fn view(view: &mut View, errors: &mut Errors) {
    clashes::handle(view, errors);
    for field in &mut view.fields {
        fields::check(field, errors);
    }
    clashes::reserved(view, errors);
    stored::namespace(view, errors);
    stored::names(view, errors);
    stored::collisions(view, errors);
    clashes::accessors(view, errors);
}
