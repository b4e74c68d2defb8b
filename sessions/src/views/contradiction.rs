//! The comparison of two views: plain functions, for the compiler and for a running program.

use super::{
    property::Property,
    text::{ConstText, are_equal},
};
use crate::handle::table::{Field, Shape};

/// A view's name and fields.
pub(super) type NamedFields = (&'static str, &'static [Field]);

/// A field that two views declare differently.
#[derive(Clone, Copy)]
pub(super) struct Contradiction {
    /// The name that both fields have.
    name: &'static str,
    difference: Difference,
    views: [&'static str; 2],
}

#[derive(Clone, Copy)]
enum Difference {
    Property(Property, [&'static str; 2]),
    Type([&'static str; 2]),
    /// The present names: the common name is an older one of at least one field.
    Name([&'static str; 2]),
}

/// Returns the first contradiction between two views, as far as the compiler can see.
pub(super) const fn between((one, ones): NamedFields, (other, others): NamedFields) -> Option<Contradiction> {
    let mut i = 0;
    while i < ones.len() {
        let mut j = 0;
        while j < others.len() {
            if let Some(name) = common_name(&ones[i], &others[j])
                && let Some(difference) = difference(&ones[i], &others[j])
            {
                return Some(Contradiction { name, difference, views: [one, other] });
            }
            j += 1;
        }
        i += 1;
    }
    None
}

/// Returns the first contradiction between two views in a running program, which compares the types themselves.
pub(super) fn between_running(
    (one, ones): NamedFields,
    (other, others): NamedFields,
) -> Option<Contradiction> {
    for field in ones {
        for other_field in others {
            let Some(name) = common_name(field, other_field) else { continue };
            let is_same_type = field.ty.id == other_field.ty.id;
            let difference = match difference(field, other_field) {
                Some(Difference::Type(_)) if is_same_type => None,
                None if !(is_same_type || field.ty.is_chosen || other_field.ty.is_chosen) => {
                    Some(Difference::Type([field.ty.name, other_field.ty.name]))
                }
                found => found,
            };
            if let Some(difference) = difference {
                return Some(Contradiction { name, difference, views: [one, other] });
            }
        }
    }
    None
}

/// Returns a stored name that both fields have, now or from before.
const fn common_name(one: &Field, other: &Field) -> Option<&'static str> {
    if matches!(one.shape, Shape::Skipped) || matches!(other.shape, Shape::Skipped) {
        return None;
    }
    let mut i = 0;
    while i <= one.aliases.len() {
        let mut j = 0;
        while j <= other.aliases.len() {
            if are_equal(name_of(one, i), name_of(other, j)) {
                return Some(name_of(one, i));
            }
            j += 1;
        }
        i += 1;
    }
    None
}

/// Returns the present name, then the older ones.
const fn name_of(field: &Field, index: usize) -> &'static str {
    if index == 0 { field.name } else { field.aliases[index - 1] }
}

const fn difference(one: &Field, other: &Field) -> Option<Difference> {
    if !are_equal(one.name, other.name) {
        return Some(Difference::Name([one.name, other.name]));
    }
    let mut at = 0;
    while at < Property::ALL.len() {
        let property = Property::ALL[at];
        let values = [property.of(one), property.of(other)];
        if !are_equal(values[0], values[1]) {
            return Some(Difference::Property(property, values));
        }
        at += 1;
    }
    let (a, b) = (one.ty, other.ty);
    let is_same_layout = a.layout.0 == b.layout.0 && a.layout.1 == b.layout.1;
    if are_equal(a.name, b.name) && (is_same_layout || a.is_chosen || b.is_chosen) {
        return None;
    }
    Some(Difference::Type([a.name, b.name]))
}

impl Contradiction {
    /// Panics with the message.
    #[track_caller]
    pub(super) const fn report(&self) -> ! {
        panic!("{}", self.message().as_str())
    }

    /// Returns the field, both views and the way out.
    pub(super) const fn message(&self) -> ConstText {
        let text = ConstText::new().and("the session field `").and(self.name);
        let [one, other] = self.views;
        match self.difference {
            Difference::Type([a, b]) if are_equal(a, b) => text
                .and("` has two different types called `")
                .and(a)
                .and("`, one in `")
                .and(one)
                .and("` and one in `")
                .and(other)
                .and("`; use one of them in both, write `type = \"…\"` in both if their JSON is the same, or give one \
                      of the fields another name with `rename = \"…\"`"),
            Difference::Type([a, b]) => text
                .and("` has the type `")
                .and(a)
                .and("` in `")
                .and(one)
                .and("` and `")
                .and(b)
                .and("` in `")
                .and(other)
                .and("`; write one type in both, `type = \"…\"` in both if their JSON is the same, or give one of the \
                      fields another name with `rename = \"…\"`"),
            Difference::Name([a, b]) => text
                .and("` belongs to `")
                .and(a)
                .and("` in `")
                .and(one)
                .and("` and to `")
                .and(b)
                .and("` in `")
                .and(other)
                .and("`, so one view would remove what the other stores; write the same `rename` and `alias` in both"),
            Difference::Property(property, [a, b]) => {
                let (before, after) = property.around();
                // the view that says something comes first
                let (a, b, one, other) = if a.is_empty() { (b, a, other, one) } else { (a, b, one, other) };
                let text = text.and("` is ").and(before).and(a).and(after).and(" in `").and(one);
                let text = if b.is_empty() {
                    text.and("` and not in `")
                } else {
                    text.and("` and ").and(before).and(b).and(after).and(" in `")
                };
                text.and(other).and(
                    "`; write the same in both, or give one of the fields another name with `rename = \"…\"`",
                )
            }
        }
    }
}
