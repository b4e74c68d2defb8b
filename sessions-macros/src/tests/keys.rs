//! Keys and values by themselves.

use super::{fails, field_fails, passes, split, struct_fails};

#[test]
fn every_key_is_taken() {
    passes(
        r#"#[session(namespace = "cart", rename_all = "camelCase")] #[session(crate = "my::sessions", handle = "H",)]
        pub(crate) struct S {
            #[session(default, rename = "x", alias = "y", alias = "z", merge = "add", on_invalid = "reject", copy, accessor = "b", type = "n")] a: u32,
            #[session(default = Vec::<u8>::from([1, 2]), with = "my::module")] c: Vec<u8>,
            #[session(skip)] d: Thing,
            #[session()] e: u8,
            #[flash] f: Option<String>,
        }"#,
    );
}

#[test]
fn a_type_has_one_name_in_all_views() {
    let named = |fields: &str| split(&format!("struct S {{ {fields} }}")).1.replace(' ', "");
    assert!(named("a: Option<std::vec::Vec<my::T>>").contains(".type_name(\"Vec<T>\")"));
    assert!(named("#[session(type = \"user-id\")] a: UserId").contains(".logical_type(\"user-id\")"));
    assert!(
        named("#[session(with = \"time::serde::rfc3339\")] a: T").contains(".type_name(\"Twithrfc3339\")")
    );
    assert!(!named("#[session(skip)] a: T").contains("type_name"));
    field_fails(
        "#[session(type = \" \")]",
        "u8",
        "`type` is empty; write a name for the type, such as `type = \"user-id\"`",
        "\" \"",
    );
}

#[test]
fn a_default_may_be_any_expression() {
    for expr in [
        "1",
        "-1",
        "\"a\".to_owned()",
        "Vec::new()",
        "HashMap::<String, u8>::new()",
        "<Vec<u8> as From<[u8; 2]>>::from([1, 2])",
        "vec![1, 2]",
        "if a < b { 1 } else { 2 }",
        "match a { _ => 1, }",
        "{ let a = 1; a }",
        "(|a, b| a + b)(1, 2)",
        "|a, b| a",
        "Point { x: 1, y: 2 }",
        "(1, 2)",
        "a < b",
        "a as u8",
        "unsafe { f() }",
        "&STATIC[..]",
        "1..2",
        "f()?",
        "async { 1 }.await",
    ] {
        let source = format!(
            "struct S {{ #[session(default = {expr}, rename = \"x\")] n: T, #[session(default = {expr})] m: T }}"
        );
        let (errors, rest) = split(&source);
        assert!(errors.is_empty(), "{expr}: {errors:?}");
        let tight = |text: &str| text.replace(' ', "");
        assert_eq!(
            tight(&rest).matches(&format!("value::<T>({})", tight(expr))).count(),
            2,
            "{expr}: {rest}"
        );
    }
}

#[test]
fn unknown_keys_get_the_nearest_else_the_list() {
    field_fails("#[session(mrege = \"add\")]", "u8", "unknown key `mrege`; write `merge`", "mrege");
    field_fails("#[session(name = \"x\")]", "u8", "unknown key `name`; write `rename`", "name");
    field_fails(
        "#[session(colour)]",
        "u8",
        "unknown key `colour`; write one of `default`, `rename`, `alias`, `skip`, `with`, `merge`, `group`, `entry`, `keep_last`, `privilege`, `identity`, `index`, `keep_on_logout`, `drop_on_login`, `secret`, `once`, `on_invalid`, `copy`, `accessor`, `type`",
        "colour",
    );
    field_fails("#[session(carry)]", "u8", "unknown key `carry`; write `keep_on_logout`", "carry");
    field_fails(
        "#[session(keep_on_logoff)]",
        "u8",
        "unknown key `keep_on_logoff`; write `keep_on_logout`",
        "keep_on_logoff",
    );
    field_fails("#[session(counter)]", "u8", "unknown key `counter`; write `merge = \"add\"`", "counter");
    struct_fails(
        "#[session(role)]",
        "unknown key `role`; write `privilege`, which belongs on a field",
        "role",
    );
    struct_fails("#[session(renameAll = \"x\")]", "unknown key `renameAll`; write `rename_all`", "renameAll");
    struct_fails(
        "#[session(x(1, 2))]",
        "unknown key `x`; write one of `namespace`, `rename_all`, `crate`, `handle`, `writer`",
        "x",
    );
    field_fails(
        "#[session(namspace = \"x\")]",
        "u8",
        "unknown key `namspace`; write `namespace`, which belongs on the struct",
        "namspace",
    );
    struct_fails(
        "#[session(marge = \"x\")]",
        "unknown key `marge`; write `merge`, which belongs on a field",
        "marge",
    );
}

#[test]
fn keys_of_the_other_place_are_sent_there() {
    field_fails(
        "#[session(namespace = \"cart\")]",
        "u8",
        "`namespace` belongs on the struct; write `#[session(namespace = \"…\")]` there",
        "namespace",
    );
    struct_fails(
        "#[session(merge = \"add\")]",
        "`merge` belongs on a field; write `#[session(merge = \"add\")]` there",
        "merge",
    );
    struct_fails(
        "#[session(default)]",
        "`default` belongs on a field; write `#[session(default = …)]` there",
        "default",
    );
}

#[test]
fn flash_is_an_attribute_of_its_own() {
    let inside = "`flash` is an attribute of its own; write `#[flash]`";
    field_fails("#[session(flash)]", "Option<u8>", inside, "flash");
    struct_fails(
        "#[session(flash)]",
        "`flash` belongs on a field; write `#[flash]` above a field of type `Option<T>`",
        "flash",
    );
    struct_fails(
        "#[flash]",
        "`#[flash]` belongs on a field; write it above a field of type `Option<T>`",
        "flash",
    );
    let bare = "`flash` takes no arguments; write it bare, as `#[flash]`";
    field_fails("#[flash(\"x\")]", "Option<u8>", bare, "flash");
    field_fails("#[flash = 1]", "Option<u8>", bare, "flash");
    field_fails("#[flash] #[flash]", "Option<u8>", "`#[flash]` is given twice; remove one", "flash");
    let (_, rest) = split("struct S { #[session(flash)] n: Option<u8> }");
    assert!(rest.contains("flash_n"), "the accessors of a flash are there: {rest}");
}

#[test]
fn keys_of_a_later_version_say_what_to_do_today() {
    let message =
        "`ttl` is not available in this version; remove it, since a field lives as long as its session";
    field_fails("#[session(ttl = \"x\")]", "u8", message, "ttl");
    struct_fails("#[session(ttl)]", message, "ttl");
}

#[test]
fn keys_of_serde_say_what_to_write() {
    for (key, instead) in [
        ("skip_serializing", "write `skip` for a field that is never stored"),
        ("skip_serializing_if", "remove it, since an `Option` that is `None` is not stored"),
        ("flatten", "write the inner fields into this struct, or keep them as one field"),
        ("serialize_with", "write `with = \"module\"`"),
    ] {
        field_fails(
            &format!("#[session({key} = \"x\")]"),
            "u8",
            &format!("`{key}` is not supported; {instead}"),
            key,
        );
    }
    struct_fails(
        "#[session(deny_unknown_fields)]",
        "`deny_unknown_fields` is not supported; remove it, since fields of other views may share the record",
        "deny_unknown_fields",
    );
}

#[test]
fn a_repeated_key_is_an_error_at_the_second() {
    fails(
        r#"#[session(handle = "A")] #[session(handle = "B")] struct S { #[session(skip, skip)] n: u8, #[session(merge = "max", merge = "sum")] m: u8 }"#,
        &[
            ("`handle` is given twice; remove one", "handle"),
            ("`skip` is given twice; remove one", "skip"),
            ("`merge` is given twice; remove one", "merge"),
        ],
    );
    let (_, rest) = split(r#"#[session(handle = "A", handle = "B")] struct S {}"#);
    assert!(rest.contains("S A"), "the first counts: {rest}");
}

#[test]
fn values_have_their_kind() {
    field_fails("#[session(rename)]", "u8", "`rename` needs a value; write `rename = \"…\"`", "rename");
    field_fails(
        "#[session(rename(\"x\"))]",
        "u8",
        "`rename` takes its value behind `=`; write `rename = \"…\"`",
        "rename",
    );
    field_fails(
        "#[session(rename = )]",
        "u8",
        "`rename` needs a string behind `=`; write `rename = \"…\"`",
        "=",
    );
    field_fails(
        "#[session(rename = , skip)]",
        "u8",
        "`rename` needs a string behind `=`; write `rename = \"…\"`",
        "=",
    );
    field_fails(
        "#[session(rename = +)]",
        "u8",
        "`rename` needs a string behind `=`; write `rename = \"…\"`",
        "+",
    );
    field_fails(
        "#[session(rename = 1)]",
        "u8",
        "`rename` takes a string literal; write `rename = \"…\"`",
        "1",
    );
    field_fails(
        "#[session(rename = b\"x\")]",
        "u8",
        "`rename` takes a string literal; write `rename = \"…\"`",
        "b\"x\"",
    );
    field_fails(
        "#[session(merge = add)]",
        "u8",
        "`merge` takes a string literal; write `merge = \"add\"`",
        "add",
    );
    field_fails(
        "#[session(with = a::b)]",
        "u8",
        "`with` takes a string literal; write `with = \"a::b\"`",
        "a::b",
    );
    field_fails("#[session(skip = true)]", "u8", "`skip` takes no value; write `skip`", "skip");
    field_fails("#[session(copy())]", "u8", "`copy` takes no value; write `copy`", "copy");
}

#[test]
fn defaults_paths_and_identifiers_have_their_kind() {
    let default = "`default` takes its value behind `=`; write `default = …`, or `default` alone";
    field_fails("#[session(default(1))]", "u8", default, "default");
    field_fails(
        "#[session(default = )]",
        "u8",
        "`default` needs an expression behind `=`; write `default = …`, or `default` alone",
        "=",
    );
    field_fails(
        "#[session(default = 1 2)]",
        "u8",
        "`default` needs an expression behind `=`; write `default = …`, or `default` alone",
        "1",
    );
    field_fails(
        "#[session(with = \"a b\")]",
        "u8",
        "`a b` is not a path; write `with = \"path::to::module\"`",
        "\"a b\"",
    );
    struct_fails(
        "#[session(crate = \"\")]",
        "`` is not a path; write `crate = \"path::to::sessions\"`",
        "\"\"",
    );
    struct_fails(
        "#[session(crate = my::sessions)]",
        "`crate` takes a string literal; write `crate = \"my::sessions\"`",
        "my::sessions",
    );
    for (text, key) in
        [("1a", "accessor"), ("self", "accessor"), ("a-b", "accessor"), ("m²", "accessor"), ("ⓐ", "accessor")]
    {
        let message =
            format!("`{text}` is not an identifier; write letters, digits and `_`, with no digit first");
        field_fails(&format!("#[session({key} = \"{text}\")]"), "u8", &message, &format!("\"{text}\""));
    }
    struct_fails(
        "#[session(handle = \"My Handle\")]",
        "`My Handle` is not an identifier; write letters, digits and `_`, with no digit first",
        "\"My Handle\"",
    );
}

#[test]
fn unknown_values_get_the_nearest_else_the_list() {
    field_fails(
        "#[session(merge = \"frist\")]",
        "u8",
        "unknown value `frist` for `merge`; write `first`",
        "\"frist\"",
    );
    field_fails(
        "#[session(merge = \"sum\")]",
        "u8",
        "unknown value `sum` for `merge`; write one of `last`, `add`, `max`, `min`, `first`, `cas`, `entries`, `append`",
        "\"sum\"",
    );
    field_fails(
        "#[session(on_invalid = \"refuse\")]",
        "u8",
        "unknown value `refuse` for `on_invalid`; write one of `reset`, `reject`",
        "\"refuse\"",
    );
    struct_fails(
        "#[session(rename_all = \"camelcase\")]",
        "unknown value `camelcase` for `rename_all`; write `camelCase`",
        "\"camelcase\"",
    );
    struct_fails(
        "#[session(rename_all = \"title\")]",
        "unknown value `title` for `rename_all`; write one of `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE`",
        "\"title\"",
    );
}

#[test]
fn broken_syntax_is_one_error_and_the_rest_is_read() {
    field_fails(
        "#[session]",
        "u8",
        "`#[session]` says nothing by itself; write `#[session(…)]` with a key in it, or remove it",
        "session",
    );
    field_fails(
        "#[session = \"skip\"]",
        "u8",
        "`session` takes its keys in parentheses; write `#[session(…)]`",
        "session",
    );
    field_fails("#[session(skip copy)]", "u8", "no comma before `copy`; write `,` after `skip`", "copy");
    field_fails(
        "#[session(rename = \"x\" copy)]",
        "u8",
        "no comma before `copy`; write `,` after the value of `rename`",
        "copy",
    );
    field_fails(
        "#[session(\"skip\", copy)]",
        "u8",
        "expected a key, found `\"skip\"`; write keys as `key` or `key = value`, with commas between",
        "\"skip\"",
    );
    field_fails(
        "#[session(skip,, copy)]",
        "u8",
        "expected a key, found `,`; write keys as `key` or `key = value`, with commas between",
        ",",
    );
    field_fails(
        "#[session(serde::skip, copy)]",
        "u8",
        "a key is a single word, not a path; remove what is before the last `::`",
        "serde",
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    fails(
        r#"#[session(ttl = "1m")] struct S { #[session(x)] a: u8, #[session(y, merge = "z")] b: u8 }"#,
        &[
            (
                "`ttl` is not available in this version; remove it, since a field lives as long as its session",
                "ttl",
            ),
            (
                "unknown key `x`; write one of `default`, `rename`, `alias`, `skip`, `with`, `merge`, `group`, `entry`, `keep_last`, `privilege`, `identity`, `index`, `keep_on_logout`, `drop_on_login`, `secret`, `once`, `on_invalid`, `copy`, `accessor`, `type`",
                "x",
            ),
            (
                "unknown key `y`; write one of `default`, `rename`, `alias`, `skip`, `with`, `merge`, `group`, `entry`, `keep_last`, `privilege`, `identity`, `index`, `keep_on_logout`, `drop_on_login`, `secret`, `once`, `on_invalid`, `copy`, `accessor`, `type`",
                "y",
            ),
            (
                "unknown value `z` for `merge`; write one of `last`, `add`, `max`, `min`, `first`, `cas`, `entries`, `append`",
                "\"z\"",
            ),
        ],
    );
}

#[test]
fn the_groups_that_macros_leave_are_looked_into() {
    let group = |inner: &str| {
        let tokens = super::tokens(inner);
        proc_macro2::Group::new(proc_macro2::Delimiter::None, tokens)
    };
    let (meta, literal) = (group("rename = \"x\", alias = \"y\""), group("\"z\""));
    let input = quote::quote!(
        struct S {
            #[session(#meta)]
            a: u8,
            #[session(rename = #literal, alias = "old")]
            b: u8,
        }
    );
    let output = crate::derive::derive(input).to_string();
    for expected in [r#"plain ("x") [. aliases (& ["y"])"#, r#"plain ("z") [. aliases (& ["old"])"#] {
        assert!(output.contains(expected), "{output}");
    }
}
