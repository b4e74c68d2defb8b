//! The names that accessors may not have, against the methods that handles have.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::names::LIFECYCLE;

/// Kept free for a method that views with an indexed field have.
const RESERVED: [&str; 1] = ["sessions"];

#[test]
fn the_reserved_names_are_the_methods_of_every_handle() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/src");
    let mut methods: BTreeSet<String> = BTreeSet::new();
    for entry in fs::read_dir(library.join("handle")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            collect_methods(read(&path), "Handle", &mut methods);
        }
    }
    collect_methods(read(&library.join("macros.rs")), "$Handle", &mut methods);
    methods.retain(|name| !name.starts_with("__"));
    let listed: BTreeSet<String> = LIFECYCLE.map(str::to_owned).into();
    assert_eq!(listed.len(), LIFECYCLE.len(), "a name stands twice");
    let missing: Vec<_> = methods.difference(&listed).collect();
    let gone: Vec<_> =
        listed.difference(&methods).filter(|name| !RESERVED.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "add to `LIFECYCLE` in names.rs, since every handle has them: {missing:?}");
    assert!(gone.is_empty(), "remove from `LIFECYCLE` in names.rs, since no handle has them: {gone:?}");
}

#[test]
fn public_methods_are_found_in_any_form() {
    let source = "
        impl Handle {
            pub fn plain(&self) {} fn private(&self) {} pub(crate) fn inner(&self) {}
            pub const fn constant(&self) {} pub async fn waiting(&self) { pub fn nested() {} }
        }
        impl Drop for Handle { fn drop(&mut self) {} }
        impl Other { pub fn other(&self) {} }
        macro_rules! m { () => { impl $Handle { $vis fn generated(&self) {} $vis fn $named(&self) {} } }; }";
    let methods = |owner| {
        let mut methods = BTreeSet::new();
        collect_methods(source.parse().unwrap(), owner, &mut methods);
        methods.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(methods("Handle"), ["constant", "plain", "waiting"]);
    assert_eq!(methods("$Handle"), ["generated"]);
}

fn read(path: &Path) -> TokenStream {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Adds the public methods of each `impl owner { … }`, also of those inside of other groups.
fn collect_methods(source: TokenStream, owner: &str, methods: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = source.into_iter().collect();
    let head: Vec<String> =
        format!("impl {}", owner.replace('$', "$ ")).split(' ').map(str::to_owned).collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before: Vec<String> =
            tokens[at.saturating_sub(head.len())..at].iter().map(ToString::to_string).collect();
        if group.delimiter() == Delimiter::Brace && before == head {
            methods.extend(public_methods(group.stream()));
        } else {
            collect_methods(group.stream(), owner, methods);
        }
    }
}

/// Returns the names behind `pub … fn` and `$vis … fn`, but not behind `pub(…) fn`.
fn public_methods(body: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let mut names = Vec::new();
    let mut is_public = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "pub" => {
                is_public = !matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
            }
            TokenTree::Ident(word) if word == "vis" => is_public = true,
            TokenTree::Ident(word) if word == "fn" && is_public => {
                if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                    names.push(name.to_string());
                }
                is_public = false;
            }
            TokenTree::Ident(word) if word == "fn" => {}
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => is_public = false,
            _ => {}
        }
    }
    names
}
