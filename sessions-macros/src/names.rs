//! Names: the length of a stored one, the rules that derive it from a field's, the reserved ones, and identifiers.

use proc_macro2::{Ident, Span};

/// The most bytes that a stored name may have.
pub(crate) const MAX_STORED_BYTES: usize = 128;

/// The methods that every handle has, which no accessor may hide.
///
/// A test compares the list with the public methods of the library's handle.
pub(crate) const LIFECYCLE: [&str; 20] = [
    "record_id",
    "is_new",
    "created_at",
    "expires_at",
    "authenticated_at",
    "was_authenticated_within",
    "rotate",
    "renew",
    "without_touch",
    "remember",
    "limit_lifetime",
    "destroy",
    "clear",
    "discard_changes",
    "ended",
    "save",
    "reload",
    "snapshot",
    "sessions",
    "update",
];

/// A rule that makes stored names of the names of fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RenameRule {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl RenameRule {
    /// The rules as serde spells them.
    pub(crate) const ALL: [(&str, Self); 8] = [
        ("lowercase", Self::Lower),
        ("UPPERCASE", Self::Upper),
        ("PascalCase", Self::Pascal),
        ("camelCase", Self::Camel),
        ("snake_case", Self::Snake),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("kebab-case", Self::Kebab),
        ("SCREAMING-KEBAB-CASE", Self::ScreamingKebab),
    ];

    /// Applies the rule as serde does to a field's name, which it takes to be in snake case.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
            Self::Pascal => {
                field.split('_').map(|word| with_first(word, |c| c.to_ascii_uppercase())).collect()
            }
            // not `pascal[..1]` as in serde, which panics where the first letter has two bytes
            Self::Camel => with_first(&Self::Pascal.apply(field), |c| c.to_ascii_lowercase()),
        }
    }
}

/// Returns the identifier spelt `text`, raw where it has to be; `None` if there is no such identifier.
pub(crate) fn ident(text: &str, span: Span) -> Option<Ident> {
    let text = text.strip_prefix("r#").unwrap_or(text);
    // before the lexer sees it, which reports some strings to the compiler by itself
    let mut chars = text.chars();
    let begins = chars.next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c));
    let lexes = begins && chars.all(unicode_ident::is_xid_continue);
    if !lexes || matches!(text, "_" | "self" | "Self" | "super" | "crate") {
        return None;
    }
    // `gen` is a keyword since edition 2024, which is the edition of the identifiers made here
    let plain = if text == "gen" { None } else { syn::parse_str::<Ident>(text).ok() };
    let mut ident = plain.or_else(|| syn::parse_str(&format!("r#{text}")).ok())?;
    ident.set_span(span);
    Some(ident)
}

fn with_first(word: &str, change: impl Fn(char) -> char) -> String {
    let mut chars = word.chars();
    chars.next().map(change).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rename_rules_are_serdes() {
        let rules = RenameRule::ALL.map(|(_, rule)| rule);
        for (field, expected) in [
            (
                "outcome",
                ["outcome", "OUTCOME", "Outcome", "outcome", "outcome", "OUTCOME", "outcome", "OUTCOME"],
            ),
            (
                "very_tasty",
                [
                    "very_tasty",
                    "VERY_TASTY",
                    "VeryTasty",
                    "veryTasty",
                    "very_tasty",
                    "VERY_TASTY",
                    "very-tasty",
                    "VERY-TASTY",
                ],
            ),
            ("a", ["a", "A", "A", "a", "a", "A", "a", "A"]),
            ("z42", ["z42", "Z42", "Z42", "z42", "z42", "Z42", "z42", "Z42"]),
        ] {
            assert_eq!(rules.map(|rule| rule.apply(field)), expected);
        }
    }

    #[test]
    fn rename_rules_survive_letters_of_two_bytes_and_no_letters() {
        assert_eq!(RenameRule::Camel.apply("été_bleu"), "étéBleu");
        assert_eq!(RenameRule::Camel.apply("__"), "");
    }

    /// Unicode counts them among the alphabetic or numeric.
    #[test]
    fn letters_and_digits_that_no_identifier_has() {
        for text in ["m²", "a²", "m½", "ⓐ", "_ⓐ", "²"] {
            assert!(ident(text, Span::call_site()).is_none(), "{text}");
        }
    }

    #[test]
    fn identifiers() {
        let span = Span::call_site();
        for (text, expected) in [
            ("name", "name"),
            ("type", "r#type"),
            ("r#type", "r#type"),
            ("gen", "r#gen"),
            ("été", "été"),
            ("_x1", "_x1"),
        ] {
            assert_eq!(ident(text, span).map(|i| i.to_string()).as_deref(), Some(expected));
        }
        for text in
            ["", "_", "self", "crate", "r#self", "1a", "a b", "a-b", "a::b", " a", "\"", "/*", "r#r#a"]
        {
            assert!(ident(text, span).is_none(), "{text}");
        }
    }
}
