//! The policy report: what a layer stores, for how long, and how it is protected.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, json};

use super::{LayerOptions, SessionLayer};
use crate::{
    value::SessionKind,
    views::{DescribedField, described},
};

/// The kinds of sessions, as the report calls them.
const KINDS: [(SessionKind, &str); 3] = [
    (SessionKind::Visitor, "visitors"),
    (SessionKind::User, "users"),
    (SessionKind::Remembered, "remembered users"),
];

/// A report of what a layer stores, for how long, and how it is protected. Made by
/// [`SessionLayer::policy`](crate::SessionLayer::policy).
///
/// It is for the documents that need these facts: the session policy of OWASP ASVS 5.0, 7.1.1, and a record of
/// processing activities (GDPR, article 30). `Display` writes it as Markdown, and [`to_json`](Self::to_json) as JSON.
#[derive(Clone, Debug)]
pub struct SessionPolicy {
    /// The facts, as they stand in the JSON.
    cookie: Vec<(&'static str, String)>,
    lifetimes: Vec<(&'static str, Duration, Duration)>,
    fields: Vec<(String, DescribedField)>,
}

impl SessionLayer {
    /// Returns a report of the layer's cookie, lifetimes and stored fields.
    ///
    /// The fields are those of the registered views ([`with_views`](Self::with_views)). A layer made by
    /// [`new`](Self::new) knows none.
    ///
    /// ```
    /// use sessions::{Session, SessionLayer, store::MemoryStore, views};
    ///
    /// #[derive(Session)]
    /// struct Account {
    ///     #[session(identity)]
    ///     user_id: Option<u64>,
    ///     #[session(keep_on_logout)]
    ///     language: Option<String>,
    /// }
    ///
    /// let layer = SessionLayer::with_views(MemoryStore::new(), views![Account]);
    /// let policy = layer.policy();
    /// assert!(policy.to_string().contains("| `user_id` | `u64` | `identity` |"));
    /// assert!(policy.to_json().contains(r#""login": "keep_on_logout""#));
    /// ```
    #[must_use]
    pub fn policy(&self) -> SessionPolicy {
        let LayerOptions { context, http, views } = &*self.options;
        let cookie = &http.cookie;
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let tables: Vec<_> = views.iter().flat_map(|views| views.tables()).collect();
        SessionPolicy {
            cookie: vec![
                ("name", cookie.name().to_owned()),
                ("same_site", format!("{:?}", cookie.same_site())),
                ("secure", yes(cookie.is_secure())),
                ("signed", yes(http.signing.is_some())),
            ],
            lifetimes: KINDS
                .map(|(kind, name)| {
                    let timeouts = context.timeouts.of_kind(kind);
                    (name, timeouts.idle(), timeouts.absolute())
                })
                .into(),
            fields: described(&tables).into_iter().collect(),
        }
    }
}

impl SessionPolicy {
    /// Returns the report as JSON text. Durations are in seconds.
    #[must_use]
    pub fn to_json(&self) -> String {
        let cookie: Map<_, _> =
            self.cookie.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let lifetimes: Map<_, _> = self
            .lifetimes
            .iter()
            .map(|(kind, idle, absolute)| {
                let times = json!({ "without_use": idle.as_secs(), "in_all": absolute.as_secs() });
                ((*kind).to_owned(), times)
            })
            .collect();
        let fields: Map<_, _> =
            self.fields.iter().map(|(name, field)| (name.clone(), of_field(field))).collect();
        format!("{:#}\n", json!({ "cookie": cookie, "lifetimes": lifetimes, "fields": fields }))
    }
}

fn of_field(field: &DescribedField) -> Value {
    let mut members = Map::new();
    members.insert("type".to_owned(), json!(field.type_name));
    members.insert("aliases".to_owned(), json!(field.aliases));
    members.extend(field.properties.iter().map(|(name, value)| (name.clone(), json!(value))));
    members.insert("ends_with".to_owned(), json!(ends_with(field)));
    members.insert("at_rest".to_owned(), json!(at_rest(field)));
    members.insert("views".to_owned(), json!(field.views));
    Value::Object(members)
}

/// Returns the end of a field's value, besides that of its session.
fn ends_with(field: &DescribedField) -> &'static str {
    if field.property("kind") == "flash" {
        return "its delivery, or a logout";
    }
    match field.property("login") {
        "keep_on_logout" => "its session",
        "drop_on_login" => "a login, or a logout",
        _ => "a logout",
    }
}

fn at_rest(field: &DescribedField) -> &'static str {
    if field.property("secrecy") == "secret" { "sealed" } else { "readable in the store" }
}

/// The report as Markdown.
impl fmt::Display for SessionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Sessions\n\n## Cookie\n")?;
        for (name, value) in &self.cookie {
            writeln!(f, "- {}: `{value}`", name.replace('_', " "))?;
        }
        writeln!(f, "\n## Lifetimes\n\n| sessions of | without use | in all |\n|---|---|---|")?;
        for (kind, idle, absolute) in &self.lifetimes {
            writeln!(f, "| {kind} | {} | {} |", Time(*idle), Time(*absolute))?;
        }
        writeln!(f, "\n## Stored fields\n")?;
        if self.fields.is_empty() {
            return writeln!(f, "No view is registered (`SessionLayer::with_views`).");
        }
        writeln!(
            f,
            "| field | type | login | merge | ends with | in the store | views |\n|---|---|---|---|---|---|---|"
        )?;
        for (name, field) in &self.fields {
            let views: Vec<_> = field.views.iter().map(|view| format!("`{view}`")).collect();
            writeln!(
                f,
                "| `{name}` | `{}` | {} | {} | {} | {} | {} |",
                field.type_name.replace('|', "\\|"),
                word(field.property("login"), "-"),
                word(field.property("merge"), "`last`"),
                ends_with(field),
                at_rest(field),
                views.join(", ")
            )?;
        }
        Ok(())
    }
}

fn word(word: &str, default: &str) -> String {
    if word.is_empty() { default.to_owned() } else { format!("`{word}`") }
}

/// A duration in the largest unit that it is whole in.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
        let seconds = self.0.as_secs();
        match UNITS.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit)) {
            Some((unit, name)) => {
                let count = seconds / unit;
                let name = if count == 1 { &name[..name.len() - 1] } else { name };
                write!(f, "{count} {name}")
            }
            None => write!(f, "{seconds} seconds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        for (seconds, text) in [
            (86_400, "1 day"),
            (30 * 86_400, "30 days"),
            (43_200, "12 hours"),
            (1_800, "30 minutes"),
            (90, "90 seconds"),
            (0, "0 seconds"),
        ] {
            assert_eq!(Time(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
