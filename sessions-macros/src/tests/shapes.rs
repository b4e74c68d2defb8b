//! The structs that can be derived at all.

use super::{expand, fails, passes, split};

#[test]
fn only_structs_with_named_fields() {
    for (source, message, place) in [
        ("struct S;", "a unit struct has no fields to store; write `struct S { … }` with named fields", ";"),
        (
            "struct S(u8, u8);",
            "a tuple struct has no names to store its fields under; write `struct S { … }` with named fields",
            "(u8, u8)",
        ),
        ("enum S { A }", "an enum has no fields to store; write `struct S { … }` with named fields", "enum"),
        (
            "union S { a: u8 }",
            "a union has no fields to store; write `struct S { … }` with named fields",
            "union",
        ),
    ] {
        fails(source, &[(message, place)]);
        let (_, rest) = split(&format!("#[session(crate = \"a::b\", handle = \"H\")] pub {source}"));
        let handle = r#"a :: b :: __session_handle ! { pub S H [# [doc = "The session of a request, seen as `S`."]] [] }"#;
        assert_eq!(rest, handle, "{source}");
    }
    passes("struct S {}");
}

#[test]
fn no_generics() {
    for (generics, place) in
        [("T", "T"), ("'a", "'a"), ("const N: usize", "const N: usize"), ("'a, T: Clone", "'a, T: Clone")]
    {
        let source = format!("#[session(x)] struct S<{generics}> {{ #[session(skip = 1)] n: u8 }}");
        fails(
            &source,
            &[
                ("unknown key `x`; write one of `namespace`, `rename_all`, `crate`, `handle`, `writer`", "x"),
                (
                    "`S` must be concrete, since it names what is stored; remove the generics and write the types out",
                    place,
                ),
                ("`skip` takes no value; write `skip`", "skip"),
            ],
        );
        assert_eq!(split(&source).1, "");
    }
}

#[test]
fn what_does_not_parse_is_one_error_and_nothing_else() {
    let output = expand("fn f() {}");
    assert!(output.contains("compile_error") && !output.contains("__session"), "{output}");
}
