//! Rules over a field by which sessions are found.

use crate::attr::{FieldClass, Merge};
use crate::errors::Errors;
use crate::model::Field;
use crate::types;

/// Applies the rules. The first that is broken is reported, and the key removed.
pub(super) fn check(field: &mut Field, errors: &mut Errors) {
    let Some(index) = &field.index else { return };
    if let Some(message) = contradiction(field) {
        errors.at(index.key, message);
        field.index = None;
    }
}

fn contradiction(field: &Field) -> Option<String> {
    let is_identity = field.class.as_ref().is_some_and(|class| class.value == FieldClass::Identity);
    Some(if field.flash.is_some() {
        "`index` contradicts `#[flash]`, which is delivered once; remove one of them".to_owned()
    } else if field.skip.is_some() {
        "`index` contradicts `skip`, since the field is never stored; remove one of them".to_owned()
    } else if field.secret.is_some() {
        "`index` contradicts `secret`, since the store cannot read what is sealed; remove one of them"
            .to_owned()
    } else if field.merge() != Merge::Last {
        let name = field.merge().name();
        format!(
            "`index` contradicts `merge = \"{name}\"`, since an entry is made before the store merges; remove one of them"
        )
    } else if is_identity {
        "`identity` is indexed by itself; remove `index`".to_owned()
    } else if field.ty.optional {
        return None;
    } else {
        let ty = types::text(&field.ty.ty);
        format!(
            "`index` needs an `Option<T>`, since a session without a value is found by none; write `{}: Option<{ty}>`",
            field.member
        )
    })
}
