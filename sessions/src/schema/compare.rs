//! The rules of what a change of the fields does to stored sessions: plain functions over plain values.

use super::file::Schema;
use crate::views::{DescribedField, Property};

/// A change of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SchemaChange {
    /// True if stored sessions lose something.
    pub(super) is_breaking: bool,
    /// The change, and the way out.
    pub(super) text: String,
}

/// Returns the changes between two schemas, in the order of the fields' names.
pub(super) fn changes(before: &Schema, now: &Schema) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let mut known = Vec::new();
    for (name, old) in &before.fields {
        let Some((present, new)) = successor(name, now) else {
            changes.push(breaking(format!(
                "`{name}` is gone, so stored sessions lose it; if it was renamed, write `alias = \"{name}\"` on the \
                 field with its new name"
            )));
            continue;
        };
        known.push(present);
        if present != name {
            changes.push(compatible(format!(
                "`{name}` is called `{present}` now, and is read under its older name"
            )));
        }
        compare_field(name, (present, new), old, &mut changes);
    }
    for name in now.fields.keys().filter(|name| !known.contains(name)) {
        changes.push(compatible(format!("`{name}` is new")));
    }
    changes
}

/// Returns the field that reads what was stored under a name.
fn successor<'a>(name: &str, now: &'a Schema) -> Option<(&'a String, &'a DescribedField)> {
    let same = now.fields.get_key_value(name);
    same.or_else(|| now.fields.iter().find(|(_, field)| field.aliases.contains(name)))
}

fn compare_field(
    name: &str,
    (present, new): (&String, &DescribedField),
    old: &DescribedField,
    changes: &mut Vec<SchemaChange>,
) {
    for alias in old.aliases.iter().filter(|alias| *alias != present && !new.aliases.contains(*alias)) {
        changes.push(breaking(format!(
            "`{present}` no longer reads its older name `{alias}`, so sessions stored under it lose the field; keep \
             `alias = \"{alias}\"` until the longest lifetime of a session is over"
        )));
    }
    for alias in new.aliases.iter().filter(|alias| *alias != name && !old.aliases.contains(*alias)) {
        changes.push(compatible(format!("`{present}` reads the older name `{alias}` too")));
    }
    if old.type_name != new.type_name {
        let (was, is) = (&old.type_name, &new.type_name);
        changes.push(breaking(format!(
            "`{present}` has the type `{is}` and had `{was}`, so a stored value that does not decode is reset, or \
             refuses its request (`on_invalid`); give the field another name with `rename`, or write `type = \"{was}\"` \
             if the JSON is the same"
        )));
    }
    let names = old.properties.keys().chain(new.properties.keys());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    for property in names {
        let (was, is) = (old.property(property), new.property(property));
        if was != is {
            changes.push(compare_property(present, property, was, is));
        }
    }
}

fn compare_property(field: &str, property: &str, was: &str, is: &str) -> SchemaChange {
    let said = |word: &str| if word.is_empty() { "the default".to_owned() } else { format!("`{word}`") };
    let change = format!("`{field}`: its {property} is {} and was {}", said(is), said(was));
    let rename = "give the field another name with `rename`";
    let known = Property::ALL.into_iter().find(|known| known.name() == property);
    match known {
        Some(Property::Kind | Property::Secrecy) => breaking(format!(
            "{change}, and the stored form is another, so stored sessions lose the field; {rename}, or accept that"
        )),
        Some(Property::Login) if is_right(is) && !is_right(was) => breaking(format!(
            "{change}, so what is stored counts as no right: it starts unset, and users log in again; {rename} to keep \
             the old field, or accept that"
        )),
        Some(Property::Merge) if is_collection(was) => breaking(format!(
            "{change}, and its entries are fields of their own, which are no longer read; {rename}, or accept that"
        )),
        _ => compatible(change),
    }
}

fn is_right(login: &str) -> bool {
    matches!(login, "privilege" | "identity")
}

fn is_collection(merge: &str) -> bool {
    matches!(merge, "entries" | "append")
}

const fn breaking(text: String) -> SchemaChange {
    SchemaChange { is_breaking: true, text }
}

const fn compatible(text: String) -> SchemaChange {
    SchemaChange { is_breaking: false, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(type_name: &str, aliases: &[&str], properties: &[(&str, &str)]) -> DescribedField {
        DescribedField {
            type_name: type_name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            views: Vec::new(),
        }
    }

    fn schema(fields: &[(&str, DescribedField)]) -> Schema {
        Schema { fields: fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect() }
    }

    /// Returns, for each change, if it breaks stored sessions, and its text.
    fn of(before: &[(&str, DescribedField)], now: &[(&str, DescribedField)]) -> Vec<(bool, String)> {
        let changes = changes(&schema(before), &schema(now));
        changes.into_iter().map(|change| (change.is_breaking, change.text)).collect()
    }

    fn only(changes: &[(bool, String)], is_breaking: bool, words: &[&str]) {
        assert_eq!(changes.len(), 1, "{changes:#?}");
        assert_eq!(changes[0].0, is_breaking, "{changes:#?}");
        for word in words {
            assert!(changes[0].1.contains(word), "{word}: {changes:#?}");
        }
    }

    #[test]
    fn equal_schemas_have_no_changes() {
        let fields = [("a", field("u8", &["b"], &[("login", "identity")]))];
        assert_eq!(of(&fields, &fields), []);
    }

    #[test]
    fn a_field_is_new_gone_or_renamed() {
        let a = || ("a", field("u8", &[], &[]));
        only(&of(&[], &[a()]), false, &["`a` is new"]);
        only(&of(&[a()], &[]), true, &["`a` is gone", "`alias = \"a\"`"]);
        only(&of(&[a()], &[("b", field("u8", &["a"], &[]))]), false, &["`a` is called `b`"]);
        let changes = of(&[a()], &[("b", field("u16", &["a"], &[]))]);
        assert_eq!(changes.iter().filter(|(is_breaking, _)| *is_breaking).count(), 1, "{changes:#?}");
    }

    #[test]
    fn an_older_name_comes_and_goes() {
        let (with, without) = ([("a", field("u8", &["b"], &[]))], [("a", field("u8", &[], &[]))]);
        only(&of(&without, &with), false, &["older name `b`"]);
        only(&of(&with, &without), true, &["no longer reads its older name `b`", "keep"]);
        // The name is another field's now, and what is stored under it would be taken for that one's.
        let changes = of(&with, &[("a", field("u8", &[], &[])), ("b", field("u8", &[], &[]))]);
        assert!(changes.iter().any(|(is_breaking, _)| *is_breaking), "{changes:#?}");
        // The older name is the present one again.
        let changes = of(&with, &[("b", field("u8", &["a"], &[]))]);
        assert!(changes.iter().all(|(is_breaking, _)| !is_breaking), "{changes:#?}");
    }

    #[test]
    fn another_type_asks_for_another_name() {
        let (was, is) = ([("a", field("u8", &[], &[]))], [("a", field("String", &[], &[]))]);
        only(&of(&was, &is), true, &["`String`", "`u8`", "`rename`", "on_invalid", "`type = \"u8\"`"]);
    }

    #[test]
    fn what_changes_the_stored_form_breaks_and_what_changes_its_treatment_does_not() {
        for (property, was, is, is_breaking) in [
            ("kind", "", "flash", true),
            ("kind", "flash", "", true),
            ("secrecy", "", "secret", true),
            ("secrecy", "secret", "", true),
            ("login", "", "identity", true),
            ("login", "keep_on_logout", "privilege", true),
            ("login", "privilege", "identity", false),
            ("login", "privilege", "", false),
            ("login", "", "keep_on_logout", false),
            ("login", "drop_on_login", "", false),
            ("merge", "", "add", false),
            ("merge", "max", "", false),
            ("merge", "", "entries", false),
            ("merge", "entries", "", true),
            ("merge", "append", "entries", true),
            ("index", "", "yes", false),
        ] {
            let of_word = |word: &'static str| {
                let properties: &[(&str, &str)] = if word.is_empty() { &[] } else { &[(property, word)] };
                [("a", field("u8", &[], properties))]
            };
            only(&of(&of_word(was), &of_word(is)), is_breaking, &["`a`"]);
        }
    }
}
