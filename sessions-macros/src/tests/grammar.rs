//! The invocation that the library's macro reads.

use super::{expand, tokens};

#[track_caller]
fn expands(source: &str, expected: &str) {
    // how the printer spaces punctuation depends on where it came from
    assert_eq!(expand(source).replace(' ', ""), tokens(expected).to_string().replace(' ', ""));
}

#[test]
fn an_empty_view() {
    expands("struct S {}", "::sessions::__session_view! { S SHandle [] }");
    expands("pub(crate) struct r#type {}", "::sessions::__session_view! { pub(crate) r#type typeHandle [] }");
    expands(
        r#"#[session(crate = "crate::a", handle = "H")] pub struct S {}"#,
        "crate::a::__session_view! { pub S H [] }",
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
            MySession MySessionHandle []
            {
                0 page_count [ u32 ] __field_cloned
                plain("page_count") [ .merge_add::<u32>() ]
                get [ #[doc = "The `page_count` field."] ] page_count __field_copied [ u32 ]
                set set_page_count __field_set [ u32 ]
                edit page_count_mut __field_edit [ &mut u32 ]
                reset reset_page_count
                add add_page_count fetch_add_page_count
            }
            {
                1 message [ String ] __field_cloned_option
                stored("message") [ .flash() ]
                get [ #[doc = " Shown once."] ] message __field_str_option [ ::core::option::Option<&::core::primitive::str> ]
                has has_message
                flash flash_message __field_flash_into flash_now_message __field_flash_now_into [ impl ::core::convert::Into<String> ]
                take_message keep_message discard_message
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
            pub S SHandle [std::vec::Vec<Item>, my::Type, Stamp]
            {
                0 all_items [ std::vec::Vec<Item> ] __field_cloned
                stored_with(
                    "cart.things",
                    |json| ::sessions::__private::decode_with::<std::vec::Vec<Item> >(json, |json| a::b::deserialize(json)),
                    |value, json| ::sessions::__private::encode_with::<std::vec::Vec<Item> >(value, json, |value, json| {
                        a::b::serialize(value, json)
                    })
                ) [
                    .or(|| ::sessions::__private::value::<std::vec::Vec<Item> >(Vec::with_capacity(4)))
                    .aliases(&["cart.old_things", "cart.older"])
                    .reject()
                ]
                get [ #[doc = " One."] #[doc = " Two."] #[doc(hidden)] ] all_items __field_slice [ &[Item] ]
                set set_all_items __field_set [ std::vec::Vec<Item> ]
                edit all_items_mut __field_edit [ &mut std::vec::Vec<Item> ]
                reset reset_all_items
            }
            {
                1 r#type [ my::Type ] __field_cloned
                skipped() [ .or(|| ::sessions::__private::value::<my::Type>(7)) ]
                get [ #[doc = "The `type` field."] ] r#type __field_get [ &my::Type ]
                set set_type __field_set [ my::Type ]
                edit type_mut __field_edit [ &mut my::Type ]
                reset reset_type
            }
            {
                2 cache [ Vec<u8> ] __field_cloned_option
                skipped() []
                get [ #[doc = "The `cache` field."] #[doc(alias = "x")] ] cache __field_slice_option [ ::core::option::Option<&[u8]> ]
                has has_cache
                set set_cache __field_set [ Vec<u8> ]
                edit cache_mut __field_edit_option [ ::core::option::Option<&mut Vec<u8> > ]
                take take_cache remove remove_cache
            }
            {
                3 last_seen [ Stamp ] __field_cloned_option
                stored("cart.lastSeen") [ .merge_max::<Stamp>() ]
                get [ #[doc = "The `last_seen` field."] ] r#match __field_copied_option [ ::core::option::Option<Stamp> ]
                has has_match
                set set_match __field_set [ Stamp ]
                edit match_mut __field_edit_option [ ::core::option::Option<&mut Stamp> ]
                take take_match remove remove_match
            }
        }
        const _: () = {
            use ::sessions::__private::NotOption as _;
            ::core::assert!(
                !::sessions::__private::Probe::<my::Type>::IS_OPTION,
                "the type of the field `r#type` is an `Option` behind an alias; write `Option<…>` itself"
            )
        };"#,
    );
}

#[test]
fn getters_setters_and_the_alias_check_follow_the_type() {
    for (ty, read, returns, takes, unchecked) in [
        ("u8", "__field_copied", "u8", "u8", false),
        ("i128", "__field_copied", "i128", "i128", false),
        ("f64", "__field_copied", "f64", "f64", false),
        ("bool", "__field_copied", "bool", "bool", false),
        ("char", "__field_copied", "char", "char", false),
        ("()", "__field_copied", "()", "()", false),
        ("String", "__field_str", "&::core::primitive::str", "impl ::core::convert::Into<String>", false),
        ("Vec<(u8, u8)>", "__field_slice", "&[(u8, u8)]", "Vec<(u8, u8)>", false),
        ("(u8, u8)", "__field_get", "&(u8, u8)", "(u8, u8)", false),
        ("[u8; 4]", "__field_get", "&[u8; 4]", "[u8; 4]", false),
        ("HashMap<u8, u8>", "__field_get", "&HashMap<u8, u8>", "HashMap<u8, u8>", false),
        ("NonZeroU8", "__field_get", "&NonZeroU8", "NonZeroU8", true),
        ("a::Maybe<u8>", "__field_get", "&a::Maybe<u8>", "a::Maybe<u8>", true),
        ("<A as B>::C", "__field_get", "&<A as B>::C", "<A as B>::C", true),
    ] {
        let output = expand(&format!("struct S {{ n: {ty} }}")).replace(' ', "");
        let expected = format!("n{read}[{returns}]setset_n__field_set").replace(' ', "");
        assert!(output.contains(&expected), "{ty}: {output}");
        assert!(output.contains(&format!("[{takes}]editn_mut").replace(' ', "")), "{ty}: {output}");
        assert_eq!(output.contains("IS_OPTION"), unchecked, "{ty}: {output}");
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
