//! The keys: those that exist, the way each is written, and the message for each other one.

use crate::suggest;

/// The item that an attribute stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttributeSite {
    Struct,
    Field,
}

impl AttributeSite {
    pub(crate) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Struct => &["namespace", "rename_all", "crate", "handle"],
            Self::Field => &[
                "default",
                "rename",
                "alias",
                "skip",
                "with",
                "merge",
                "entry",
                "keep_last",
                "privilege",
                "identity",
                "index",
                "keep_on_logout",
                "drop_on_login",
                "secret",
                "on_invalid",
                "copy",
                "accessor",
                "type",
            ],
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Struct => Self::Field,
            Self::Field => Self::Struct,
        }
    }

    /// The end of a message about a key that belongs here.
    const fn home(self) -> &'static str {
        match self {
            Self::Struct => "belongs on the struct",
            Self::Field => "belongs on a field",
        }
    }
}

/// Other words for keys, each with what to write. A misspelt key needs no entry.
const SYNONYMS: [(&str, &str); 10] = [
    ("carry", "keep_on_logout"),
    ("persist", "keep_on_logout"),
    ("user", "identity"),
    ("login", "identity"),
    ("permission", "privilege"),
    ("right", "privilege"),
    ("role", "privilege"),
    ("encrypt", "secret"),
    ("sealed", "secret"),
    ("counter", "merge = \"add\""),
];

/// Keys that this version does not have yet, each with advice.
const LATER: [(&str, &str); 4] = [
    ("ttl", "remove it, since a field lives as long as its session"),
    ("once", "remove it, and read the field with `take_…()`"),
    ("group", "remove it, and put fields that must agree into one struct that is one field"),
];

/// Keys of serde's, each with advice.
const SERDE: [(&str, &str); 21] = [
    ("skip_serializing", "write `skip` for a field that is never stored"),
    ("skip_deserializing", "write `skip` for a field that is never stored"),
    ("skip_serializing_if", "remove it, since an `Option` that is `None` is not stored"),
    ("serialize_with", "write `with = \"module\"`"),
    ("deserialize_with", "write `with = \"module\"`"),
    ("flatten", "write the inner fields into this struct, or keep them as one field"),
    ("borrow", "remove it, since a field owns its value"),
    ("getter", "write `accessor = \"name\"` to rename the accessors, or remove it"),
    ("bound", "remove it, since the struct has no generics"),
    ("rename_all_fields", "write `rename_all = \"…\"` on the struct"),
    ("deny_unknown_fields", "remove it, since fields of other views may share the record"),
    ("transparent", "remove it, since each field is stored by itself"),
    ("tag", "remove it, since each field is stored by itself"),
    ("content", "remove it, since each field is stored by itself"),
    ("untagged", "remove it, since each field is stored by itself"),
    ("from", "remove it, and write `with = \"module\"` on the fields that need it"),
    ("try_from", "remove it, and write `with = \"module\"` on the fields that need it"),
    ("into", "remove it, and write `with = \"module\"` on the fields that need it"),
    ("remote", "remove it, and write `with = \"module\"` on the fields that need it"),
    ("expecting", "remove it"),
    ("serde", "write what is in its parentheses into `#[session(…)]`, as far as it exists there"),
];

/// Returns a key with its value as it is written, for the end of a message.
pub(crate) const fn usage(key: &str) -> &'static str {
    match key.as_bytes() {
        b"namespace" => "namespace = \"…\"",
        b"rename_all" => "rename_all = \"camelCase\"",
        b"crate" => "crate = \"path::to::sessions\"",
        b"handle" => "handle = \"…\"",
        b"default" => "default = …",
        b"rename" => "rename = \"…\"",
        b"alias" => "alias = \"…\"",
        b"skip" => "skip",
        b"with" => "with = \"path::to::module\"",
        b"merge" => "merge = \"add\"",
        b"entry" => "entry = \"add\"",
        b"keep_last" => "keep_last = 20",
        b"privilege" => "privilege",
        b"identity" => "identity",
        b"index" => "index",
        b"keep_on_logout" => "keep_on_logout",
        b"drop_on_login" => "drop_on_login",
        b"secret" => "secret",
        b"on_invalid" => "on_invalid = \"reject\"",
        b"copy" => "copy",
        b"accessor" => "accessor = \"…\"",
        b"type" => "type = \"user-id\"",
        _ => "",
    }
}

/// Returns the error for a key that cannot stand here: the reason, and what to write. `None` if it can stand here.
pub(crate) fn refuse(site: AttributeSite, key: &str) -> Option<String> {
    if site.keys().contains(&key) {
        return None;
    }
    Some(if key == "flash" {
        match site {
            AttributeSite::Struct => {
                "`flash` belongs on a field; write `#[flash]` above a field of type `Option<T>`".to_owned()
            }
            AttributeSite::Field => "`flash` is an attribute of its own; write `#[flash]`".to_owned(),
        }
    } else if site.other().keys().contains(&key) {
        format!("`{key}` {}; write `#[session({})]` there", site.other().home(), usage(key))
    } else if let Some((_, instead)) = LATER.iter().find(|(later, _)| *later == key) {
        format!("`{key}` is not available in this version; {instead}")
    } else if let Some((_, instead)) = SERDE.iter().find(|(serde, _)| *serde == key) {
        format!("`{key}` is not supported; {instead}")
    } else if let Some((_, instead)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == key) {
        match site {
            AttributeSite::Field => format!("unknown key `{key}`; write `{instead}`"),
            AttributeSite::Struct => {
                format!("unknown key `{key}`; write `{instead}`, which belongs on a field")
            }
        }
    } else if let Some(near) = suggest::nearest(key, site.keys()) {
        format!("unknown key `{key}`; write `{near}`")
    } else if let Some(near) = suggest::nearest(key, site.other().keys()) {
        format!("unknown key `{key}`; write `{near}`, which {}", site.other().home())
    } else {
        format!("unknown key `{key}`; write one of {}", suggest::list(site.keys()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_says_how_it_is_written() {
        for key in AttributeSite::Struct.keys().iter().chain(AttributeSite::Field.keys()) {
            assert!(usage(key).starts_with(key), "{key}");
        }
    }

    #[test]
    fn synonyms_are_no_keys_and_lead_to_keys_of_fields() {
        for (synonym, instead) in SYNONYMS {
            assert!(!AttributeSite::Field.keys().contains(&synonym), "{synonym}");
            let key = instead.split(' ').next().unwrap_or_default();
            assert!(AttributeSite::Field.keys().contains(&key), "{instead}");
        }
    }

    #[test]
    fn no_key_is_refused_where_it_belongs_and_every_one_elsewhere() {
        for site in [AttributeSite::Struct, AttributeSite::Field] {
            for key in site.keys() {
                assert_eq!(refuse(site, key), None);
                assert!(
                    refuse(site.other(), key).is_some_and(|message| message.contains("belongs on")),
                    "{key}"
                );
            }
        }
    }

    #[test]
    fn messages_are_lower_case_without_a_full_stop() {
        for (key, _) in LATER.iter().chain(&SERDE) {
            let message = refuse(AttributeSite::Field, key).unwrap_or_default();
            assert!(
                message.starts_with('`') && message.contains("; ") && !message.ends_with('.'),
                "{message}"
            );
        }
    }
}
