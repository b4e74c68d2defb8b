//! The fields of a record: names and JSON texts.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::FieldName;

/// The fields of a record, each a name and a JSON text.
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

    /// Keeps the named fields only.
    pub fn retain(&mut self, names: &[FieldName]) {
        if let Some(sorted) = &mut self.sorted {
            Arc::make_mut(sorted).retain(|(name, _)| names.contains(name));
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
    pub(crate) fn beginning_with<'a>(
        &'a self,
        beginning: &'a str,
    ) -> impl Iterator<Item = (&'a FieldName, &'a Bytes)> {
        let sorted = self.sorted.as_ref().map_or(&[][..], |sorted| sorted);
        let from = sorted.partition_point(|(name, _)| name.as_str() < beginning);
        let begins = move |(name, _): &&(FieldName, Bytes)| name.as_str().starts_with(beginning);
        sorted[from..].iter().take_while(begins).map(|(name, value)| (name, value))
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
        if let Some(index) = sorted.iter().position(|(known, _)| std::ptr::eq(known.as_str(), name)) {
            return Ok(index);
        }
        sorted.binary_search_by(|(known, _)| known.as_str().cmp(name))
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
    fn fields_are_found_by_the_beginning_of_their_names() {
        let all = fields(&[("cart", "0"), ("cart2[1]", "1"), ("cart[2]", "2"), ("cart[1]", "3"), ("dart[1]", "4")]);
        let names = |beginning| -> Vec<&str> {
            all.beginning_with(beginning).map(|(name, _)| name.as_str()).collect()
        };
        assert_eq!(names("cart["), ["cart[1]", "cart[2]"]);
        assert_eq!(names("x["), [""; 0]);
        assert_eq!(Fields::new().beginning_with("cart[").count(), 0);
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", fields(&[("card", "\"4111\"")])), r#"{"card": 6}"#);
    }
}
