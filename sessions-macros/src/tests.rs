//! The derive from end to end, on tokens: what it says, where it points, and what it emits.

mod grammar;
mod keys;
mod names;
mod rules;
mod shapes;

use proc_macro2::{TokenStream, TokenTree};

use crate::derive::derive;

fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The output in one line, with the spaces that the token printer chooses.
fn expand(source: &str) -> String {
    derive(tokens(source)).to_string()
}

/// The errors of the derive, each with the source text it points at, and what is emitted beside them.
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

/// The derive says exactly this, at exactly these places, and the messages keep to the house style.
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

/// One field with this attribute and type; the error points at `place`.
#[track_caller]
fn field_fails(attrs: &str, ty: &str, message: &str, place: &str) {
    fails(&format!("struct S {{ {attrs} n: {ty} }}"), &[(message, place)]);
}

/// An empty struct with this attribute; the error points at `place`.
#[track_caller]
fn struct_fails(attrs: &str, message: &str, place: &str) {
    fails(&format!("{attrs} struct S {{}}"), &[(message, place)]);
}

/// The derive has nothing to say.
#[track_caller]
fn passes(source: &str) {
    fails(source, &[]);
}
