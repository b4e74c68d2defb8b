//! Stored names and the names of accessors.

use super::{fails, field_fails, passes, split, struct_fails};

#[test]
fn stored_names_collide() {
    fails(
        r#"struct S { a: u8, #[session(rename = "a")] b: u8 }"#,
        &[("the stored name `a` is also that of the field `a`; write another", "\"a\"")],
    );
    // the error stands where a name was chosen, whatever the order
    fails(
        r#"struct S { #[session(rename = "a")] b: u8, a: u8 }"#,
        &[("the stored name `a` is also that of the field `a`; write another", "\"a\"")],
    );
    fails(
        r#"#[session(rename_all = "camelCase", namespace = "cart")] struct S { a_b: u8, aB: u8 }"#,
        &[(
            "the stored name `cart.aB` is also that of the field `a_b`; write another with `#[session(rename = \"…\")]`",
            "aB",
        )],
    );
    passes(
        r#"struct S { a: u8, #[session(rename = "b")] c: u8, #[session(rename = "c")] b: u8, #[session(skip)] d: u8, #[session(alias = "d")] e: u8 }"#,
    );
}

#[test]
fn aliases_collide() {
    fails(
        r#"#[session(namespace = "x")] struct S { a: u8, #[session(alias = "a")] b: u8, #[session(alias = "old")] c: u8, #[session(alias = "old")] d: u8 }"#,
        &[
            ("the alias `x.a` is also the stored name of the field `a`; remove one", "\"a\""),
            ("the alias `x.old` is also an alias of the field `c`; remove one", "\"old\""),
        ],
    );
    fails(
        r#"struct S { #[session(alias = "a", alias = "b", alias = "b")] a: u8 }"#,
        &[
            ("the alias `a` is the stored name of the field itself; remove it", "\"a\""),
            ("the alias `b` is given twice; remove one", "\"b\""),
        ],
    );
}

#[test]
fn stored_names_are_sound() {
    field_fails(
        "#[session(rename = \"\")]",
        "u8",
        "a stored name is never empty; write at least one character",
        "\"\"",
    );
    field_fails(
        "#[session(alias = \"a\\nb\")]",
        "u8",
        "a stored name has no control characters; write one without them",
        "\"a\\nb\"",
    );
    let long = "x".repeat(129);
    let message = "a stored name has at most 128 bytes, namespace included, and this one needs 129; write a shorter one";
    field_fails(&format!("#[session(rename = \"{long}\")]"), "u8", message, &format!("\"{long}\""));
    fails(
        &format!("struct S {{ {long}: u8 }}"),
        &[(&format!("{message} in `#[session(rename = \"…\")]`"), &long)],
    );
    fails(
        &format!(
            "#[session(namespace = \"cart\")] struct S {{ #[session(rename = \"{}\")] a: u8 }}",
            "x".repeat(124)
        ),
        &[(message, &format!("\"{}\"", "x".repeat(124)))],
    );
    passes(&format!(
        "#[session(namespace = \"cart\")] struct S {{ #[session(rename = \"{}\")] a: u8 }}",
        "x".repeat(123)
    ));
    passes(
        r#"struct S { #[session(rename = "naïve 🍪 name")] a: u8, #[session(rename = "_x")] b: u8, été: u8 }"#,
    );
    let message = "names that begin with `__` are reserved; write `x`";
    field_fails("#[session(rename = \"__x\")]", "u8", message, "\"__x\"");
    field_fails("#[session(alias = \"__x\")]", "u8", message, "\"__x\"");
    field_fails(
        "#[session(rename = \"__\")]",
        "u8",
        "names that begin with `__` are reserved; write another",
        "\"__\"",
    );
    passes(r#"#[session(namespace = "a")] struct S { #[session(rename = "__x")] b: u8 }"#);
    fails(
        r#"#[session(rename_all = "PascalCase")] struct S { _1: u8, #[session(accessor = "a")] __: u8 }"#,
        &[(
            "a stored name is never empty; write at least one character in `#[session(rename = \"…\")]`",
            "__",
        )],
    );
}

#[test]
fn a_namespace_is_sound_and_is_blamed_once() {
    let fields = "struct S { a: u8, b: u8 }";
    for (text, message) in [
        ("", "a stored name is never empty; write at least one character".to_owned()),
        (
            "a[b",
            "a stored name has no `[`, which begins the key of an entry; write one without it".to_owned(),
        ),
        ("a\\tb", "a stored name has no control characters; write one without them".to_owned()),
        ("__a", "names that begin with `__` are reserved; write `a`".to_owned()),
        ("cart.", "the derive adds the dot behind a namespace; write `cart`".to_owned()),
        (
            &"x".repeat(127),
            "a stored name has at most 128 bytes, namespace included, and this one needs 129; write a shorter one".to_owned(),
        ),
    ] {
        fails(&format!("#[session(namespace = \"{text}\")] {fields}"), &[(&message, &format!("\"{text}\""))]);
    }
    passes(&format!("#[session(namespace = \"shop.cart\")] {fields}"));
}

#[test]
fn names_with_two_underscores_are_the_librarys() {
    fails(
        "struct S { __a: u8 }",
        &[("names that begin with `__` are reserved; rename the field to `a`", "__a")],
    );
    fails(
        "struct S { #[session(skip)] __1: u8 }",
        &[("names that begin with `__` are reserved; rename the field to `field0`", "__1")],
    );
    fails(
        r#"struct S { #[session(rename = "a")] __a: u8, #[session(accessor = "__c")] b: u8, #[session(accessor = "d")] __d: u8 }"#,
        &[
            ("names that begin with `__` are reserved; rename the field to `a`", "__a"),
            ("names that begin with `__` are reserved; write `accessor = \"c\"`", "\"__c\""),
            ("names that begin with `__` are reserved; write `d` in `#[session(rename = \"…\")]`", "__d"),
        ],
    );
    passes("struct S { _a: u8, a__: u8 }");
}

#[test]
fn accessors_hide_no_method_of_every_handle() {
    for name in crate::names::LIFECYCLE {
        let message = format!(
            "`{name}()`, generated for the field `{name}`, would hide the session's own `{name}()`; write `#[session(accessor = \"{name}_value\")]`"
        );
        fails(&format!("struct S {{ {name}: u8 }}"), &[(&message, name)]);
        let message = format!(
            "`{name}()`, generated for the field `n`, would hide the session's own `{name}()`; write `accessor = \"n\"`"
        );
        field_fails(&format!("#[session(accessor = \"{name}\")]"), "u8", &message, &format!("\"{name}\""));
    }
    fails(
        "struct S { #[flash] changes: Option<u8> }",
        &[(
            "`discard_changes()`, generated for the field `changes`, would hide the session's own `discard_changes()`; write `#[session(accessor = \"changes_value\")]`",
            "changes",
        )],
    );
    passes("struct S { changes: Option<u8> }");
}

#[test]
fn accessors_of_two_fields_do_not_clash() {
    fails(
        "struct S { set_name: u8, name: u8 }",
        &[(
            "`set_name()` would be generated for the field `set_name` and for `name`; write `#[session(accessor = \"name_value\")]`",
            "name",
        )],
    );
    fails(
        "struct S { name: Option<u8>, has_name: u8, name_value: u8, has_name_value: u8 }",
        &[(
            "`has_name()` would be generated for the field `name` and for `has_name`; write `#[session(accessor = \"has_name_field\")]`",
            "has_name",
        )],
    );
    // the error stands where a name was chosen, whatever the order
    fails(
        r#"struct S { #[session(accessor = "b")] a: u8, b: u8 }"#,
        &[("`b()` would be generated for the field `b` and for `a`; write `accessor = \"a\"`", "\"b\"")],
    );
    fails(
        r#"struct S { add_n: u8, #[session(merge = "add")] n: u8 }"#,
        &[(
            "`add_n()` would be generated for the field `add_n` and for `n`; write `#[session(accessor = \"n_value\")]`",
            "n",
        )],
    );
    // what is not generated does not clash
    passes("struct S { add_n: u8, n: u8, #[session(skip)] m: u8, add_m: u8, take_n: u8, flash_now_n: u8 }");
    fails(
        "struct S { r#type: u8, set_type: u8 }",
        &[(
            "`set_type()` would be generated for the field `r#type` and for `set_type`; write `#[session(accessor = \"set_type_value\")]`",
            "set_type",
        )],
    );
}

#[test]
fn a_proposed_accessor_is_used_meanwhile() {
    let (_, rest) = split("struct S { set_n: u8, n: u8 }");
    for expected in ["fn n_value (", "fn set_n_value (", "fn n_value_mut (", "fn reset_n_value ("] {
        assert!(rest.contains(expected), "{rest}");
    }
}

#[test]
fn everyday_names_simply_work() {
    passes(
        "struct S { id: u8, data: u8, self_: u8, len: u8, clone: u8, drop: u8, deref: u8, new: u8, r#type: u8, r#gen: u8, into: u8, name: u8, handle: u8 }",
    );
}

#[test]
fn the_handle_is_not_the_struct() {
    struct_fails(
        "#[session(handle = \"S\")]",
        "the handle is a struct of its own beside `S`; write `handle = \"SHandle\"`",
        "\"S\"",
    );
}
