//! The fields of a record: names and JSON texts.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{Covers, FieldName};

/// The most fields among which one is looked for by the address of its name.
const FEW: usize = 64;

/// The fields of a record, each a name and a JSON text.
///
/// The entries of a collection are fields of their own ([`FieldName`]). They follow each other, in the order of their
/// names.
///
/// A clone shares everything and costs one reference count. A change of shared fields copies the list of names, never
/// the values.
#[derive(Clone, Default)]
pub struct Fields {
    /// Sorted by name; `None` where there never was a field, so that an empty one allocates nothing.
    sorted: Option<Arc<Vec<(FieldName, Bytes)>>>,
}

impl Fields {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { sorted: None }
    }

    /// Sets a field.
    pub fn insert(&mut self, name: FieldName, value: Bytes) {
        match self.position(name.as_str()) {
            Ok(index) => self.make_mut()[index].1 = value,
            Err(index) => self.make_mut().insert(index, (name, value)),
        }
    }

    /// Removes a field, if it is there.
    pub fn remove(&mut self, name: &str) {
        if let Ok(index) = self.position(name) {
            self.make_mut().remove(index);
        }
    }

    /// Removes all fields that this name covers: of a prefix name those that begin with it.
    pub fn remove_covered(&mut self, name: &FieldName) {
        if !name.is_prefix() {
            return self.remove(name.as_str());
        }
        let range = self.range(name.as_str());
        if !range.is_empty() {
            self.make_mut().drain(range);
        }
    }

    /// Keeps the named fields only. A prefix name keeps all fields that begin with it.
    pub fn retain(&mut self, names: &[FieldName]) {
        if let Some(sorted) = &mut self.sorted {
            Arc::make_mut(sorted).retain(|(name, _)| names.covers(name));
        }
    }

    /// Returns the value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        let index = self.position(name).ok()?;
        self.sorted.as_ref().map(|sorted| &sorted[index].1)
    }

    /// Returns true if there is such a field.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    /// Returns all fields, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &Bytes)> {
        self.sorted.iter().flat_map(|sorted| sorted.iter()).map(|(name, value)| (name, value))
    }

    /// Returns the fields whose names begin with this text, sorted by name.
    pub fn starting_with(&self, text: &str) -> impl Iterator<Item = (&FieldName, &Bytes)> {
        let range = self.range(text);
        let fields = self.sorted.as_ref().map_or(&[][..], |sorted| &sorted[range]);
        fields.iter().map(|(name, value)| (name, value))
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.as_ref().map_or(0, |sorted| sorted.len())
    }

    /// Returns the number of bytes that the names and values take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    }

    /// Returns true if there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces a field's value by what `change` makes of it; `None` is no field.
    ///
    /// # Errors
    ///
    /// The error of `change`; the field is then as it was.
    pub fn alter<E>(
        &mut self,
        name: &FieldName,
        change: impl FnOnce(Option<&Bytes>) -> Result<Option<Bytes>, E>,
    ) -> Result<(), E> {
        let position = self.position(name.as_str());
        let current = match (&self.sorted, position) {
            (Some(sorted), Ok(index)) => Some(&sorted[index].1),
            _ => None,
        };
        match (change(current)?, position) {
            (Some(value), Ok(index)) => self.make_mut()[index].1 = value,
            (Some(value), Err(index)) => self.make_mut().insert(index, (name.clone(), value)),
            (None, Ok(index)) => {
                self.make_mut().remove(index);
            }
            (None, Err(_)) => {}
        }
        Ok(())
    }

    fn make_mut(&mut self) -> &mut Vec<(FieldName, Bytes)> {
        Arc::make_mut(self.sorted.get_or_insert_default())
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        let Some(sorted) = &self.sorted else { return Err(0) };
        // Names of a view's fields are mostly the very same text of the program, and few.
        if sorted.len() <= FEW
            && let Some(index) = sorted.iter().position(|(known, _)| std::ptr::eq(known.as_str(), name))
        {
            return Ok(index);
        }
        sorted.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// Returns the places of the fields whose names begin with this text.
    fn range(&self, text: &str) -> Range<usize> {
        let Some(sorted) = &self.sorted else { return 0..0 };
        let start = sorted.partition_point(|(name, _)| name.as_str() < text);
        let length = sorted[start..].partition_point(|(name, _)| name.as_str().starts_with(text));
        start..start + length
    }
}

impl FromIterator<(FieldName, Bytes)> for Fields {
    /// Collects fields. Of several values for one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (FieldName, Bytes)>>(pairs: I) -> Self {
        let mut sorted: Vec<_> = pairs.into_iter().collect();
        sorted.sort_by(|left, right| left.0.cmp(&right.0));
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(&mut later.1, &mut earlier.1);
            }
            same
        });
        Self { sorted: (!sorted.is_empty()).then(|| Arc::new(sorted)) }
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        match (&self.sorted, &other.sorted) {
            (Some(left), Some(right)) => left == right,
            // An empty list equals none.
            _ => self.is_empty() && other.is_empty(),
        }
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    /// Shows names and lengths, since values may be personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.len()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &'static str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).into(), Bytes::from_static(value.as_bytes()))).collect()
    }

    #[test]
    fn a_change_leaves_a_clone_alone() {
        let before = fields(&[("b", "2"), ("a", "1")]);
        let mut after = before.clone();
        after.insert("c".into(), Bytes::from_static(b"3"));
        after.remove("a");
        assert_eq!(before, fields(&[("a", "1"), ("b", "2")]));
        assert_eq!(after, fields(&[("b", "2"), ("c", "3")]));
    }

    #[test]
    fn no_fields_are_equal_wherever_they_went() {
        let mut removed = fields(&[("a", "1")]);
        removed.remove("a");
        let mut dropped = fields(&[("a", "1")]);
        dropped.retain(&[]);
        assert_eq!(removed, Fields::new());
        assert_eq!(Fields::new(), dropped);
        assert_eq!(removed, dropped);
        assert_ne!(removed, fields(&[("a", "1")]));
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        assert_eq!(
            fields(&[("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")]),
            fields(&[("a", "4"), ("b", "2")])
        );
    }

    #[test]
    fn entries_follow_each_other_and_go_together() {
        let all = [
            ("cart", "0"),
            ("cart-x", "0"),
            ("cart2[a]", "0"),
            ("cart[]", "1"),
            ("cart[a]", "2"),
            ("cart[\u{10ffff}]", "3"),
            ("carts", "0"),
            ("Cart[a]", "0"),
        ];
        let before = fields(&all);
        let values: Vec<_> = before.starting_with("cart[").map(|(_, value)| value.as_ref()).collect();
        assert_eq!(values, [b"1", b"2", b"3"]);
        assert_eq!(before.starting_with("none[").count(), 0);
        assert_eq!(Fields::new().starting_with("cart[").count(), 0);

        let others: Vec<_> = all.iter().filter(|(_, value)| *value == "0").copied().collect();
        let mut removed = before.clone();
        removed.remove_covered(&"cart[".into());
        assert_eq!(removed, fields(&others));
        removed.remove_covered(&"cart[".into());
        removed.remove_covered(&"carts".into());
        assert_eq!(removed.len(), others.len() - 1);
        assert_eq!(before, fields(&all));

        let mut kept = before.clone();
        kept.retain(&["carts".into(), "cart[".into()]);
        assert_eq!(
            kept,
            fields(&[("cart[]", "1"), ("cart[a]", "2"), ("cart[\u{10ffff}]", "3"), ("carts", "0")])
        );
        let mut emptied = fields(&[("cart[a]", "1")]);
        emptied.remove_covered(&"cart[".into());
        assert_eq!(emptied, Fields::new());
    }

    #[test]
    fn one_of_many_fields_is_found() {
        let names: Vec<FieldName> = (0..3 * FEW).map(|number| format!("cart[{number}]").into()).collect();
        let all: Fields =
            names.iter().map(|name| (name.clone(), Bytes::from(name.as_str().to_owned()))).collect();
        for name in &names {
            assert_eq!(all.get(name.as_str()).unwrap(), name.as_str());
            let elsewhere = name.as_str().to_owned();
            assert_eq!(all.get(&elsewhere).unwrap(), name.as_str());
        }
        assert!(!all.contains("cart[]"));
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", fields(&[("card", "\"4111\"")])), r#"{"card": 6}"#);
    }
}
