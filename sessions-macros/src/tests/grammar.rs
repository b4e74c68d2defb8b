//! The invocation that the library's macro reads.

use super::{expand, tokens};

#[track_caller]
fn expands(source: &str, expected: &str) {
    assert_eq!(expand(source), tokens(expected).to_string());
}

#[test]
fn an_empty_view() {
    expands("struct S {}", "::sessions::__session_view! { [] S SHandle }");
    expands("pub(crate) struct r#type {}", "::sessions::__session_view! { [pub(crate)] r#type typeHandle }");
    expands(
        r#"#[session(crate = "crate::a", handle = "H")] pub struct S {}"#,
        "crate::a::__session_view! { [pub] S H }",
    );
}

#[test]
fn the_view_of_the_readme() {
    expands(
        r#"
        struct MySession {
            #[session(merge = "add")]
            page_count: u32,
            /// Shown once.
            #[flash]
            message: Option<String>,
        }"#,
        r#"::sessions::__session_view! {
            [] MySession MySessionHandle
            {
                0
                page_count
                plain
                [ u32 ]
                ( "page_count" [ ] )
                add
                reset
                ( json )
                ( )
                checked
                copy
                [ ]
                value
                [ #[doc = "The `page_count` field."] ]
                { page_count set_page_count page_count_mut reset_page_count add_page_count fetch_add_page_count }
            }
            {
                1
                message
                flash
                [ String ]
                ( "message" [ ] )
                last
                reset
                ( json )
                ( )
                checked
                str
                [ ]
                into_string
                [ #[doc = " Shown once."] ]
                { message has_message flash_message now_message take_message keep_message discard_message }
            }
        }"#,
    );
}

#[test]
fn every_attribute() {
    expands(
        r#"
        #[session(namespace = "cart", rename_all = "camelCase")]
        pub struct S {
            /// One.
            /// Two.
            #[doc(hidden)]
            #[session(default = Vec::with_capacity(4), rename = "things", alias = "old_things", alias = "older", with = "a::b", on_invalid = "reject")]
            pub all_items: std::vec::Vec<Item>,
            #[session(skip, default = 7)]
            r#type: my::Type,
            #[session(skip)]
            #[doc(alias = "x")]
            cache: Option<Vec<u8>>,
            #[session(copy, merge = "max", accessor = "match")]
            last_seen: Option<Stamp>,
        }"#,
        r#"::sessions::__session_view! {
            [pub] S SHandle
            {
                0
                all_items
                plain
                [ std::vec::Vec<Item> ]
                ( "cart.things" [ "cart.old_things", "cart.older" ] )
                last
                reject
                ( with a::b )
                ( Vec::with_capacity(4) )
                checked
                slice
                [ Item ]
                value
                [ #[doc = " One."] #[doc = " Two."] #[doc(hidden)] ]
                { all_items set_all_items all_items_mut reset_all_items add_all_items fetch_add_all_items }
            }
            {
                1
                r#type
                skip_plain
                [ my::Type ]
                ( "" [ ] )
                last
                reset
                ( json )
                ( 7 )
                unchecked
                refer
                [ ]
                value
                [ #[doc = "The `type` field."] ]
                { r#type set_type type_mut reset_type add_type fetch_add_type }
            }
            {
                2
                cache
                skip_option
                [ Vec<u8> ]
                ( "" [ ] )
                last
                reset
                ( json )
                ( )
                checked
                slice
                [ u8 ]
                value
                [ #[doc = "The `cache` field."] #[doc(alias = "x")] ]
                { cache has_cache set_cache cache_mut take_cache remove_cache }
            }
            {
                3
                last_seen
                option
                [ Stamp ]
                ( "cart.lastSeen" [ ] )
                max
                reset
                ( json )
                ( )
                checked
                copy
                [ ]
                value
                [ #[doc = "The `last_seen` field."] ]
                { r#match has_match set_match match_mut take_match remove_match }
            }
        }"#,
    );
}

#[test]
fn getters_setters_and_the_alias_check_follow_the_type() {
    for (ty, expected) in [
        ("u8", "checked copy [] value"),
        ("i128", "checked copy [] value"),
        ("f64", "checked copy [] value"),
        ("bool", "checked copy [] value"),
        ("char", "checked copy [] value"),
        ("()", "checked copy [] value"),
        ("std::primitive::u8", "checked copy [] value"),
        ("String", "checked str [] into_string"),
        ("std::string::String", "checked str [] into_string"),
        ("Vec<(u8, u8)>", "checked slice [(u8 , u8)] value"),
        ("(u8, u8)", "checked refer [] value"),
        ("[u8; 4]", "checked refer [] value"),
        ("HashMap<u8, u8>", "checked refer [] value"),
        ("NonZeroU8", "unchecked refer [] value"),
        ("Cart", "unchecked refer [] value"),
        ("a::Maybe<u8>", "unchecked refer [] value"),
        ("<A as B>::C", "unchecked refer [] value"),
        ("Option<u8>", "checked copy [] value"),
        ("Option<String>", "checked str [] into_string"),
        ("Option<Vec<u8>>", "checked slice [u8] value"),
        ("Option<Option<u8>>", "checked refer [] value"),
        ("Option<Cart>", "checked refer [] value"),
    ] {
        let output = expand(&format!("struct S {{ n: {ty} }}"));
        let expected =
            tokens(format!("( json ) ( ) {expected} [ # [doc")[..].trim_end_matches(" [ # [doc")).to_string();
        assert!(output.contains(&format!("{expected} [# [doc")), "{ty}: {output}");
    }
}

#[test]
fn names_and_accessors_point_into_the_struct() {
    let source = r#"struct S { count: u8, #[session(rename = "x", accessor = "y")] other: u8 }"#;
    let (mut found, mut queue) = (Vec::new(), vec![crate::derive::derive(tokens(source))]);
    while let Some(stream) = queue.pop() {
        for token in stream {
            match token {
                proc_macro2::TokenTree::Group(group) => queue.push(group.stream()),
                token => found.push((token.to_string(), token.span().source_text().unwrap_or_default())),
            }
        }
    }
    for (token, place) in [
        ("set_count", "count"),
        ("\"count\"", "count"),
        ("\"x\"", "\"x\""),
        ("y", "\"y\""),
        ("set_y", "\"y\""),
    ] {
        assert!(found.contains(&(token.to_owned(), place.to_owned())), "{token}: {found:?}");
    }
}
