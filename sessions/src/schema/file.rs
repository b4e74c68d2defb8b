//! The form of the file: JSON, with a line for each fact, so that its difference reads well.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::views::DescribedField;

/// The number of the form, for later ones.
const FORMAT: u64 = 1;

/// The names of a field's members that are no properties.
const TYPE: &str = "type";
const ALIASES: &str = "aliases";

/// The stored fields of a program, by their stored names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) fields: BTreeMap<String, DescribedField>,
}

impl Schema {
    /// Makes the schema of described fields. The views do not matter to what is stored.
    pub(super) fn new(mut fields: BTreeMap<String, DescribedField>) -> Self {
        for field in fields.values_mut() {
            field.views.clear();
        }
        Self { fields }
    }

    /// Returns the text of the file.
    pub(super) fn to_text(&self) -> String {
        let fields: Map<_, _> =
            self.fields.iter().map(|(name, field)| (name.clone(), of_field(field))).collect();
        format!("{:#}\n", json!({ "format": FORMAT, "fields": fields }))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// The fault, to follow the file's name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        match file.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(_) => return Err("is of another version of the library".to_owned()),
            None => return Err("is no schema of session fields".to_owned()),
        }
        let fields = file.get("fields").and_then(Value::as_object).ok_or("has no `fields`")?;
        let field = |(name, value): (&String, &Value)| {
            let field =
                to_field(value).ok_or_else(|| format!("describes the field `{name}` in another form"))?;
            Ok((name.clone(), field))
        };
        Ok(Self { fields: fields.iter().map(field).collect::<Result<_, String>>()? })
    }
}

fn of_field(field: &DescribedField) -> Value {
    let mut members = Map::new();
    members.insert(TYPE.to_owned(), json!(field.type_name));
    if !field.aliases.is_empty() {
        members.insert(ALIASES.to_owned(), json!(field.aliases));
    }
    members.extend(field.properties.iter().map(|(name, value)| (name.clone(), json!(value))));
    Value::Object(members)
}

fn to_field(value: &Value) -> Option<DescribedField> {
    let mut field = DescribedField::default();
    for (name, value) in value.as_object()? {
        match name.as_str() {
            TYPE => value.as_str()?.clone_into(&mut field.type_name),
            ALIASES => {
                let aliases = value.as_array()?.iter().map(|alias| alias.as_str().map(str::to_owned));
                field.aliases = aliases.collect::<Option<_>>()?;
            }
            _ => {
                field.properties.insert(name.clone(), value.as_str()?.to_owned());
            }
        }
    }
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let field = DescribedField {
            type_name: "Vec<u64>".to_owned(),
            aliases: ["basket".to_owned()].into(),
            properties: [("login".to_owned(), "keep_on_logout".to_owned())].into(),
            views: Vec::new(),
        };
        let schema =
            Schema::new([("cart".to_owned(), field), ("n".to_owned(), DescribedField::default())].into());
        let text = schema.to_text();
        assert_eq!(Schema::parse(&text).unwrap(), schema);
        assert!(text.contains("\n      \"login\": \"keep_on_logout\""), "{text}");
    }

    #[test]
    fn another_file_is_refused() {
        for (text, fault) in [
            ("", "is not JSON"),
            ("{}", "is no schema"),
            (r#"{"format":2}"#, "another version"),
            (r#"{"format":1}"#, "no `fields`"),
            (r#"{"format":1,"fields":{"a":{"type":1}}}"#, "`a`"),
        ] {
            let error = Schema::parse(text).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
