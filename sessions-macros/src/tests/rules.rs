//! Attributes against each other and against the type.

use super::{fails, field_fails, passes, split};

#[test]
fn flash_needs_an_option() {
    field_fails(
        "#[flash]",
        "String",
        "`#[flash]` needs an `Option<T>`, or a `Vec<T>` for a list of flashes, since a flash is absent once it is delivered; write `n: Option<String>`",
        "flash",
    );
    field_fails(
        "#[flash]",
        "HashMap<a::B, u8>",
        "`#[flash]` needs an `Option<T>`, or a `Vec<T>` for a list of flashes, since a flash is absent once it is delivered; write `n: Option<HashMap<a::B, u8>>`",
        "flash",
    );
    passes(
        "struct S { #[flash] a: std::option::Option<u8>, #[flash] b: (core::option::Option<u8>), #[flash] c: Option<Option<u8>> }",
    );
}

#[test]
fn flash_contradicts_what_has_no_meaning_for_it() {
    let flash = |attr: &str, message: &str, place: &str| {
        field_fails(&format!("#[flash] #[session({attr})]"), "Option<u8>", message, place);
    };
    flash(
        "skip",
        "`skip` contradicts `#[flash]`, which is stored until it is delivered; remove one of them",
        "skip",
    );
    flash(
        "default",
        "`default` contradicts `#[flash]`, which is `None` until there is something to deliver; remove one of them",
        "default",
    );
    flash(
        "default = 1",
        "`default` contradicts `#[flash]`, which is `None` until there is something to deliver; remove one of them",
        "default",
    );
    flash(
        "merge = \"max\"",
        "`merge` contradicts `#[flash]`, which is delivered once and never merged; remove one of them",
        "merge",
    );
    passes(
        r#"struct S { #[flash] #[session(rename = "x", alias = "y", copy, with = "m", on_invalid = "reject", accessor = "b")] a: Option<u8> }"#,
    );
}

#[test]
fn a_right_is_set_and_removed_and_nothing_else() {
    for (attr, ty, what) in [
        ("#[flash] #[session(privilege)]", "Option<u8>", "`#[flash]`, which is delivered once"),
        ("#[session(skip, privilege)]", "u8", "`skip`, since what is not stored is no right of the session"),
        (
            "#[session(merge = \"add\", privilege)]",
            "u8",
            "`merge = \"add\"`, since a right is never merged with that of another request",
        ),
        (
            "#[session(privilege, merge = \"first\")]",
            "Option<u8>",
            "`merge = \"first\"`, since a right is never merged with that of another request",
        ),
    ] {
        let message = format!("`privilege` contradicts {what}; remove one of them");
        field_fails(attr, ty, &message, "privilege");
    }
    passes("struct S { #[session(privilege, merge = \"last\", on_invalid = \"reset\")] n: u8 }");
    let expanded =
        |attr: &str| split(&format!("struct S {{ #[session({attr})] n: u8 }}")).1.replace([' ', '\n'], "");
    // The library withholds the record, whatever else is not said.
    for attr in ["privilege", "privilege, on_invalid = \"reset\""] {
        assert!(!expanded(attr).contains("reject") && !expanded(attr).contains(".reset()"), "{attr}");
    }
    assert!(expanded("privilege, on_invalid = \"reject\"").contains("reject"));
}

#[test]
fn a_secret_is_stored_whole() {
    for merge in ["add", "max", "min", "first"] {
        let message = format!(
            "`merge = \"{merge}\"` contradicts `secret`, since the store cannot read what is sealed; remove one of them"
        );
        let attr = format!("#[session(secret, merge = \"{merge}\")]");
        field_fails(&attr, "u32", &message, &format!("\"{merge}\""));
    }
    field_fails(
        "#[session(skip, secret)]",
        "u8",
        "`secret` has no meaning with `skip`, since the field is never stored; remove one of them",
        "secret",
    );
    passes(
        "struct S { #[session(secret, privilege, copy, merge = \"last\", default = 3, rename = \"x\", alias = \"y\")] \
         n: u8, #[flash] #[session(secret)] code: Option<String>, #[session(secret, identity)] user: Option<u8> }",
    );
    let expanded =
        |attr: &str| split(&format!("struct S {{ #[session({attr})] n: u8 }}")).1.replace([' ', '\n'], "");
    assert!(!expanded("secret").contains("reject") && !expanded("secret").contains(".reset()"));
    assert!(expanded("secret, on_invalid = \"reset\"").contains(".reset()"));
    assert!(expanded("secret, on_invalid = \"reject\"").contains("reject"));
}

#[test]
fn an_identity_is_one_optional_right() {
    for (attr, what) in [
        ("#[flash] #[session(identity)]", "`#[flash]`, which is delivered once"),
        ("#[session(skip, identity)]", "`skip`, since what is not stored is no right of the session"),
    ] {
        let message = format!("`identity` contradicts {what}; remove one of them");
        field_fails(attr, "Option<u8>", &message, "identity");
    }
    field_fails(
        "#[session(identity)]",
        "u64",
        "`identity` needs an `Option<T>`, since at first no user is logged in; write `n: Option<u64>`",
        "identity",
    );
    fails(
        "struct S { #[session(identity)] user: Option<u8>, #[session(identity)] admin: Option<u8> }",
        &[("a session has one identity, which is `user`; write `privilege` for another right", "identity")],
    );
    passes("struct S { #[session(identity)] user: Option<u8>, #[session(privilege)] role: u8 }");
}

#[test]
fn a_field_is_one_thing_to_its_user() {
    for (attr, message) in [
        (
            "privilege, identity",
            "`privilege` is a right, and `identity` is a right that also names the logged-in user; remove one of them",
        ),
        (
            "keep_on_logout, drop_on_login",
            "`keep_on_logout` outlives a logout, and `drop_on_login` ends with a login; remove one of them",
        ),
        (
            "identity, keep_on_logout",
            "`identity` is a right that also names the logged-in user, and `keep_on_logout` outlives a logout; remove \
             one of them",
        ),
        ("keep_on_logout, keep_on_logout", "`keep_on_logout` is given twice; remove one"),
    ] {
        let (_, key) = attr.split_once(", ").unwrap();
        field_fails(&format!("#[session({attr})]"), "Option<u8>", message, key);
    }
    for key in ["keep_on_logout", "drop_on_login"] {
        let message = format!(
            "`{key}` has no meaning with `skip`, since the field is never stored; remove one of them"
        );
        field_fails(&format!("#[session(skip, {key})]"), "u8", &message, key);
        passes(&format!("struct S {{ #[flash] #[session({key})] n: Option<u8> }}"));
    }
}

#[test]
fn skip_contradicts_what_is_about_the_store() {
    for (attr, key) in [
        ("rename = \"x\"", "rename"),
        ("alias = \"x\"", "alias"),
        ("with = \"x\"", "with"),
        ("merge = \"add\"", "merge"),
        ("on_invalid = \"reject\"", "on_invalid"),
    ] {
        let message = format!(
            "`{key}` has no meaning with `skip`, since the field is never stored; remove one of them"
        );
        field_fails(&format!("#[session(skip, {attr})]"), "u8", &message, key);
    }
    passes(
        r#"struct S { #[session(skip, default = 1, copy, accessor = "b")] a: u8, #[session(skip)] c: Option<u8> }"#,
    );
}

#[test]
fn an_option_has_a_default_already() {
    let message =
        "`default` does not fit an `Option`, which is `None` when absent; write `n: u8`, or remove it";
    field_fails("#[session(default)]", "Option<u8>", message, "default");
    field_fails("#[session(default = Some(1))]", "Option<u8>", message, "default");
    field_fails("#[session(skip, default = Some(1))]", "Option<u8>", message, "default");
}

#[test]
fn copy_is_for_copy_types() {
    for ty in ["String", "Vec<u8>", "HashMap<String, u8>", "Box<u8>"] {
        let message = format!("`copy` does not fit `{ty}`, which is not `Copy`; remove it");
        let attrs = "#[session(copy, merge = \"last\")]";
        field_fails(attrs, ty, &message, "copy");
        field_fails(attrs, &format!("Option<{ty}>"), &message, "copy");
    }
    passes(
        "struct S { #[session(copy)] a: Point, #[session(copy)] b: u8, #[session(copy)] c: Option<Point>, #[session(copy)] d: (u8, u8) }",
    );
}

#[test]
fn merging_numbers_needs_visible_integers_of_64_bits() {
    for merge in ["add", "max", "min"] {
        for ty in [
            "String",
            "bool",
            "char",
            "f32",
            "f64",
            "()",
            "Vec<u8>",
            "HashMap<u8, u8>",
            "(u8, u8)",
            "[u8; 2]",
            "std::string::String",
        ] {
            let message = format!(
                "`merge = \"{merge}\"` does not fit `{ty}`; use it with `u8` to `u64`, `i8` to `i64`, `usize` or `isize`, or write `last` or `first`"
            );
            field_fails(&format!("#[session(merge = \"{merge}\")]"), ty, &message, &format!("\"{merge}\""));
        }
        for (ty, instead) in [("u128", "u64"), ("i128", "i64")] {
            let message = format!(
                "`merge = \"{merge}\"` does not fit `{ty}`, since stores count in 64 bits; write `{instead}`, or remove it"
            );
            field_fails(&format!("#[session(merge = \"{merge}\")]"), ty, &message, &format!("\"{merge}\""));
        }
        for ty in
            ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize", "Count", "my::Count<u8>"]
        {
            passes(&format!("struct S {{ #[session(merge = \"{merge}\")] n: {ty} }}"));
        }
    }
    for merge in ["last", "first"] {
        passes(&format!(
            "struct S {{ #[session(merge = \"{merge}\")] n: String, #[session(merge = \"{merge}\")] m: Option<u128> }}"
        ));
    }
}

#[test]
fn merging_numbers_needs_the_integers_that_serde_writes() {
    for merge in ["add", "max", "min"] {
        let message = format!(
            "`merge = \"{merge}\"` does not fit `with`, since stores count in JSON integers; remove `with`, or write `last` or `first`"
        );
        let attrs = format!("#[session(with = \"m\", merge = \"{merge}\")]");
        field_fails(&attrs, "u8", &message, &format!("\"{merge}\""));
    }
    passes(
        r#"struct S { #[session(with = "m", merge = "first")] n: u8, #[session(with = "m", merge = "last")] m: u8 }"#,
    );
}

#[test]
fn adding_needs_a_number_that_is_there() {
    field_fails(
        "#[session(merge = \"add\")]",
        "Option<u8>",
        "`merge = \"add\"` does not fit an `Option`; write `n: u8`",
        "\"add\"",
    );
    passes(
        r#"struct S { #[session(merge = "max")] a: Option<u8>, #[session(merge = "min")] b: Option<u8> }"#,
    );
    // one mistake, one error: the type is no number at all
    fails(
        r#"struct S { #[session(merge = "add")] n: Option<String> }"#,
        &[(
            "`merge = \"add\"` does not fit `String`; use it with `u8` to `u64`, `i8` to `i64`, `usize` or `isize`, or write `last` or `first`",
            "\"add\"",
        )],
    );
}

#[test]
fn references_are_refused_with_what_to_write() {
    for (ty, found, owned) in [
        ("&str", "&str", "String"),
        ("&'static str", "&'static str", "String"),
        ("(&'static str)", "&'static str", "String"),
        ("&'static [u8]", "&'static [u8]", "Vec<u8>"),
        ("&'static Path", "&'static Path", "PathBuf"),
        ("&'static T<u8>", "&'static T<u8>", "T<u8>"),
        ("&'static &'static u8", "&'static &'static u8", "u8"),
    ] {
        let place = ty.trim_matches(['(', ')']);
        field_fails(
            "",
            ty,
            &format!("`{found}` borrows, and a field owns its value; write `{owned}`"),
            place,
        );
        let message =
            format!("`Option<{found}>` borrows, and a field owns its value; write `Option<{owned}>`");
        field_fails("", &format!("Option<{ty}>"), &message, place);
    }
    let (_, rest) = split("struct S { a: &'static u8, b: Option<&'static u8> }");
    for expected in [
        "0 a [& 'static u8] __field_cloned skipped ()",
        "unimplemented ! ()",
        "1 b [& 'static u8] __field_cloned_option skipped () []",
    ] {
        assert!(rest.contains(expected), "{rest}");
    }
}

#[test]
fn what_was_refused_is_left_out_of_the_expansion() {
    for (wrong, right) in [
        (r"struct S { #[flash] n: u8 }", "struct S { n: u8 }"),
        (r"struct S { #[flash] #[session(skip)] n: Option<u8> }", "struct S { #[flash] n: Option<u8> }"),
        (r#"struct S { #[session(merge = "add", copy)] n: String }"#, "struct S { n: String }"),
        (
            r#"struct S { #[session(skip, rename = "x", merge = "add", with = "m")] n: u8 }"#,
            "struct S { #[session(skip)] n: u8 }",
        ),
        (r#"struct S { #[session(default, merge = "add")] n: Option<u8> }"#, "struct S { n: Option<u8> }"),
        (r#"#[session(namespace = "", handle = "S")] struct S { n: u8 }"#, "struct S { n: u8 }"),
        (r"struct S { save: u8 }", r#"struct S { #[session(accessor = "save_value")] save: u8 }"#),
    ] {
        let (errors, rest) = split(wrong);
        assert!(!errors.is_empty(), "{wrong}");
        assert_eq!(rest, super::expand(right), "{wrong}");
    }
}

#[test]
fn sessions_are_found_by_what_is_stored_as_it_is() {
    let refused = |attrs: &str, ty: &str, message: &str| field_fails(attrs, ty, message, "index");
    refused(
        "#[flash] #[session(index)]",
        "Option<u8>",
        "`index` contradicts `#[flash]`, which is delivered once; remove one of them",
    );
    refused(
        "#[session(skip, index)]",
        "Option<u8>",
        "`index` contradicts `skip`, since the field is never stored; remove one of them",
    );
    refused(
        "#[session(secret, index)]",
        "Option<u8>",
        "`index` contradicts `secret`, since the store cannot read what is sealed; remove one of them",
    );
    refused(
        "#[session(merge = \"max\", index)]",
        "Option<u8>",
        "`index` contradicts `merge = \"max\"`, since an entry is made before the store merges; remove one of them",
    );
    refused("#[session(identity, index)]", "Option<u8>", "`identity` is indexed by itself; remove `index`");
    refused(
        "#[session(index)]",
        "u8",
        "`index` needs an `Option<T>`, since a session without a value is found by none; write `n: Option<u8>`",
    );
    passes(
        "struct S { #[session(index, privilege)] a: Option<u8>, #[session(identity, secret)] b: Option<u8> }",
    );
}
