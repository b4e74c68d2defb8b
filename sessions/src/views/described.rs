//! The fields of a record, as a list of views describes them together: for schema files and policy reports.

use std::collections::{BTreeMap, BTreeSet};

use super::property::Property;
use crate::handle::table::{Field, Shape, Table};

/// A stored field, by all views that show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DescribedField {
    /// The type's name.
    pub(crate) type_name: String,
    /// Older names that are still read.
    pub(crate) aliases: BTreeSet<String>,
    /// The properties that are not the default, by name.
    pub(crate) properties: BTreeMap<String, String>,
    /// The views.
    pub(crate) views: Vec<&'static str>,
}

/// Returns the stored fields of views by their stored names.
pub(crate) fn described(tables: &[&'static Table]) -> BTreeMap<String, DescribedField> {
    let mut fields = BTreeMap::<String, DescribedField>::new();
    for table in tables {
        for field in table.fields.iter().filter(|field| field.shape != Shape::Skipped) {
            fields.entry(field.name.to_owned()).or_default().add(field, table.view);
        }
    }
    fields
}

impl DescribedField {
    fn add(&mut self, field: &Field, view: &'static str) {
        field.ty.name.clone_into(&mut self.type_name);
        self.aliases.extend(field.aliases.iter().map(|alias| (*alias).to_owned()));
        for property in Property::ALL {
            let value = property.of(field);
            if !value.is_empty() {
                self.properties.insert(property.name().to_owned(), value.to_owned());
            }
        }
        self.views.push(view);
    }

    /// Returns a property's value; the empty one is the default.
    pub(crate) fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }
}
