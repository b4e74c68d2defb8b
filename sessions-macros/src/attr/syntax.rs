//! The tokens of one `#[session(…)]`, cut into keys and values. Knows no key.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, LitStr, Meta, Token, Variant};

use crate::errors::Errors;

/// One `key`, `key = value` or `key(…)`.
pub(crate) struct Entry {
    /// The key without `r#`.
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) value: EntryValue,
}

/// The part behind a key.
pub(crate) enum EntryValue {
    /// Nothing.
    Bare,
    /// `=` and an expression.
    Assigned(TokenStream),
    /// `=` without an expression behind it; the span of what is wrong.
    Broken(Span),
    /// `key(…)`.
    List,
}

impl EntryValue {
    /// The string literal behind the `=`.
    pub(crate) fn as_str(&self) -> Option<LitStr> {
        match self {
            Self::Assigned(tokens) => syn::parse2(tokens.clone()).ok(),
            _ => None,
        }
    }
}

/// Reads the entries of a `#[session(…)]`. One that cannot be read is reported and left out.
pub(crate) fn entries(attr: &Attribute, errors: &mut Errors) -> Vec<Entry> {
    let tokens = match &attr.meta {
        Meta::List(list) => list.tokens.clone(),
        Meta::Path(path) => {
            errors.over(
                path,
                "`#[session]` says nothing by itself; write `#[session(…)]` with a key in it, or remove it",
            );
            return Vec::new();
        }
        Meta::NameValue(pair) => {
            errors.over(&pair.path, "`session` takes its keys in parentheses; write `#[session(…)]`");
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    let mut rest = ungroup(tokens);
    while let Some(first) = rest.first() {
        let TokenTree::Ident(key) = first else {
            errors.at(first.span(), format!("expected a key, found `{first}`; write keys as `key` or `key = value`, with commas between"));
            skip_past_comma(&mut rest);
            continue;
        };
        let key = key.clone();
        rest.remove(0);
        if is_punct(&rest, 0, ':') {
            errors.at(key.span(), "a key is a single word, not a path; remove what is before the last `::`");
            skip_past_comma(&mut rest);
            continue;
        }
        let value = value(&mut rest);
        let is_broken = matches!(value, EntryValue::Broken(_));
        let before = if matches!(value, EntryValue::Bare) { "" } else { "the value of " };
        entries.push(entry(&key, value));
        if is_broken || is_punct(&rest, 0, ',') {
            skip_past_comma(&mut rest);
        } else if let Some(next) = rest.first() {
            errors.at(
                next.span(),
                format!("no comma before `{next}`; write `,` after {before}`{}`", key.unraw()),
            );
            if !matches!(next, TokenTree::Ident(_)) {
                skip_past_comma(&mut rest);
            }
        }
    }
    entries
}

fn entry(key: &Ident, value: EntryValue) -> Entry {
    Entry { key: key.unraw().to_string(), span: key.span(), value }
}

/// Takes the value of a key from the tokens behind it.
fn value(rest: &mut Vec<TokenTree>) -> EntryValue {
    if let Some(TokenTree::Group(_)) = rest.first() {
        rest.remove(0);
        return EntryValue::List;
    }
    if !is_punct(rest, 0, '=') {
        return EntryValue::Bare;
    }
    let equals = rest.remove(0).span();
    match rest.first() {
        None => return EntryValue::Broken(equals),
        Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => return EntryValue::Broken(equals),
        Some(_) => {}
    }
    let first = rest[0].span();
    match expression_length(rest) {
        Some(length) => EntryValue::Assigned(rest.drain(..length).collect()),
        None => EntryValue::Broken(first),
    }
}

/// Counts the tokens of the expression that they begin with, if they begin with one.
///
/// syn finds the end of an expression only with its feature "full", which costs build time. It does without for the
/// discriminant of an enum variant, if that is a closure: so the tokens are parsed as one.
fn expression_length(tokens: &[TokenTree]) -> Option<usize> {
    if let [TokenTree::Literal(_), TokenTree::Ident(next), ..] = tokens
        && next != "as"
    {
        // the next key stands there, and the comma before it is missing
        return Some(1);
    }
    let variant = |input: ParseStream<'_>| {
        input.parse::<Variant>()?;
        if !(input.is_empty() || input.peek(Token![,])) {
            return Err(input.error("not the end of an expression"));
        }
        input.parse::<TokenStream>()
    };
    let behind = variant.parse2(quote!(Value = |_| #(#tokens)*)).ok()?;
    Some(tokens.len() - behind.into_iter().count())
}

/// Drops tokens up to and with the next comma.
fn skip_past_comma(rest: &mut Vec<TokenTree>) {
    let comma = (0..rest.len()).find(|&i| is_punct(rest, i, ','));
    rest.drain(..comma.map_or(rest.len(), |i| i + 1));
}

fn is_punct(tokens: &[TokenTree], at: usize, punct: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(found)) if found.as_char() == punct)
}

/// Returns the tokens without the invisible group that `macro_rules!` puts around a `$meta:meta`.
fn ungroup(tokens: TokenStream) -> Vec<TokenTree> {
    let mut flat = Vec::new();
    let mut after_equals = false;
    for token in tokens {
        match token {
            // behind `=` the group holds the value together
            TokenTree::Group(group) if group.delimiter() == Delimiter::None && !after_equals => {
                flat.extend(ungroup(group.stream()));
            }
            token => {
                after_equals = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '=');
                flat.push(token);
            }
        }
    }
    flat
}
