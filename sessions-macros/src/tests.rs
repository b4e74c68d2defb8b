//! The derive from end to end, on tokens: its messages, the spans that they point at, and its output.

mod collections;
mod grammar;
mod keys;
mod lifecycle;
mod names;
mod rules;
mod shapes;

use proc_macro2::{TokenStream, TokenTree};

use crate::derive::derive;

fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// Returns the output in one line, with the spaces that the token printer chooses.
fn expand(source: &str) -> String {
    derive(tokens(source)).to_string()
}

/// Returns the errors of the derive, each with the source text that it points at, and the output beside them.
fn split(source: &str) -> (Vec<(String, String)>, String) {
    let (mut errors, mut rest) = (Vec::new(), Vec::new());
    for token in derive(tokens(source)) {
        let TokenTree::Group(group) = &token else {
            rest.push(token);
            continue;
        };
        let start = rest.len().saturating_sub(7);
        let path: TokenStream = rest[start..].iter().cloned().collect();
        let is_error = path.to_string() == ":: core :: compile_error !";
        let Some(TokenTree::Literal(message)) = group.stream().into_iter().next().filter(|_| is_error) else {
            rest.push(token);
            continue;
        };
        let first = rest[start].span();
        let place = first.join(message.span()).and_then(|span| span.source_text()).unwrap_or_default();
        let message: syn::LitStr = syn::parse_quote!(#message);
        errors.push((message.value(), place));
        rest.truncate(start);
    }
    (errors, TokenStream::from_iter(rest).to_string())
}

/// Asserts that the derive reports exactly this, at exactly these places, in messages of the house style.
#[track_caller]
fn fails(source: &str, expected: &[(&str, &str)]) {
    let (errors, _) = split(source);
    let errors: Vec<(&str, &str)> =
        errors.iter().map(|(message, place)| (message.as_str(), place.as_str())).collect();
    assert_eq!(errors, expected, "{source}");
    for (message, _) in errors {
        let lower = message.chars().next().is_some_and(|first| first == '`' || first.is_lowercase());
        assert!(lower && message.contains("; ") && !message.ends_with('.'), "style: {message}");
        assert_eq!(
            message.matches('`').count() % 2,
            usize::from(message.contains("r#`")),
            "backticks: {message}"
        );
    }
}

/// Asserts the error for one field with this attribute and type; it points at `place`.
#[track_caller]
fn field_fails(attrs: &str, ty: &str, message: &str, place: &str) {
    fails(&format!("struct S {{ {attrs} n: {ty} }}"), &[(message, place)]);
}

/// Asserts the error for an empty struct with this attribute; it points at `place`.
#[track_caller]
fn struct_fails(attrs: &str, message: &str, place: &str) {
    fails(&format!("{attrs} struct S {{}}"), &[(message, place)]);
}

/// Asserts that the derive reports nothing.
#[track_caller]
fn passes(source: &str) {
    fails(source, &[]);
}
