//! Any tokens for the derive: errors, never a panic, and tokens come out of it (items, with the feature `full`).
#![no_main]

use std::fmt::Write;

use arbitrary::Arbitrary;
use libfuzzer_sys::{Corpus, fuzz_target};
use proc_macro2::TokenStream;

/// The derive outside of the compiler: all of the macro crate but its `lib.rs`.
#[path = "../../sessions-macros/src"]
#[allow(dead_code)]
mod source {
    pub(crate) mod accessor;
    pub(crate) mod attr;
    pub(crate) mod check;
    pub(crate) mod derive;
    pub(crate) mod errors;
    pub(crate) mod expand;
    pub(crate) mod model;
    pub(crate) mod names;
    pub(crate) mod suggest;
    pub(crate) mod types;
    pub(crate) mod writer;
}

use source::{accessor, attr, check, derive, errors, expand, model, names, suggest, types, writer};

/// The lexer and syn recurse; the compiler has refused deeper ones before a derive sees them.
const DEEPEST: usize = 32;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Struct(Struct<'a>),
}

#[derive(Arbitrary, Debug)]
struct Struct<'a> {
    attributes: Vec<Attribute<'a>>,
    name: &'a str,
    fields: Vec<Field<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Field<'a> {
    attributes: Vec<Attribute<'a>>,
    name: Option<&'a str>,
    ty: Type<'a>,
}

#[derive(Arbitrary, Debug)]
enum Attribute<'a> {
    Flash,
    Doc(&'a str),
    Session(Vec<(Key<'a>, Value<'a>)>),
    Text(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Key<'a> {
    Known(u8),
    Text(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    None,
    String(&'a str),
    Choice(u8),
    Expression(&'a str),
    List(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Type<'a> {
    Known(u8),
    Option(u8),
    Text(&'a str),
}

/// Keys that there are, and some that there will be.
fn keys() -> Vec<&'static str> {
    let [of_struct, of_field] =
        [attr::AttributeSite::Struct, attr::AttributeSite::Field].map(|place| place.keys());
    [of_struct, of_field, &["flash", "ttl", "index"]].concat()
}

const CHOICES: [&str; 15] = [
    "last",
    "add",
    "max",
    "min",
    "first",
    "cas",
    "reset",
    "reject",
    "camelCase",
    "kebab-case",
    "PascalCase",
    "self",
    "r#type",
    "Option",
    "::a::b",
];

const TYPES: [&str; 14] = [
    "u8",
    "u64",
    "i64",
    "u128",
    "bool",
    "f64",
    "String",
    "Vec<u8>",
    "()",
    "&'static str",
    "Counter",
    "(u8, u8)",
    "std::option::Option<u8>",
    "Box<Option<u8>>",
];

fn pick(list: &[&'static str], index: u8) -> &'static str {
    list[usize::from(index) % list.len()]
}

impl Struct<'_> {
    fn source(&self) -> String {
        let mut source = String::new();
        attributes(&self.attributes, &mut source);
        let name = if self.name.is_empty() { "S" } else { self.name };
        let _ = write!(source, "struct {name} {{");
        for (index, field) in self.fields.iter().enumerate() {
            attributes(&field.attributes, &mut source);
            match field.name {
                Some(name) => source.push_str(name),
                None => drop(write!(source, "f{index}")),
            }
            let _ = match field.ty {
                Type::Known(index) => write!(source, ": {},", pick(&TYPES, index)),
                Type::Option(index) => write!(source, ": Option<{}>,", pick(&TYPES, index)),
                Type::Text(text) => write!(source, ": {text},"),
            };
        }
        source + "}"
    }
}

fn attributes(attributes: &[Attribute<'_>], source: &mut String) {
    for attribute in attributes {
        let _ = match attribute {
            Attribute::Flash => write!(source, "#[flash]"),
            Attribute::Doc(text) => write!(source, "#[doc = {text:?}]"),
            Attribute::Text(text) => write!(source, "#[{text}]"),
            Attribute::Session(entries) => {
                source.push_str("#[session(");
                for (key, value) in entries {
                    source.push_str(match key {
                        Key::Known(index) => pick(&keys(), *index),
                        Key::Text(text) => text,
                    });
                    let _ = match value {
                        Value::None => write!(source, ","),
                        Value::String(text) => write!(source, " = {text:?},"),
                        Value::Choice(index) => write!(source, " = {:?},", pick(&CHOICES, *index)),
                        Value::Expression(text) => write!(source, " = {text},"),
                        Value::List(text) => write!(source, "({text}),"),
                    };
                }
                write!(source, ")]")
            }
        };
    }
}

fn is_deep(source: &str) -> bool {
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'<' | b'&' | b'*' | b'!' | b'-' | b'|' => operators += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest > DEEPEST || operators > 4 * DEEPEST
}

fuzz_target!(|input: Input<'_>| -> Corpus {
    let source = match &input {
        Input::Text(text) => (*text).to_owned(),
        Input::Struct(input) => input.source(),
    };
    if is_deep(&source) {
        return Corpus::Reject;
    }
    let Ok(tokens) = source.parse::<TokenStream>() else { return Corpus::Reject };
    let is_item = syn::parse2::<syn::DeriveInput>(tokens.clone()).is_ok();
    let output = derive::derive(tokens);
    let text = output.to_string();
    assert!(is_item || text.contains("compile_error"), "{source}");
    assert!(text.parse::<TokenStream>().is_ok(), "no tokens: {source}\n{text}");
    #[cfg(feature = "full")]
    if let Err(error) = syn::parse2::<syn::File>(output) {
        panic!("no items: {error}\n{source}\n{text}");
    }
    Corpus::Keep
});
