//! The output: the accessors, and the invocation of the library's macro.

use super::{expand, tokens};

#[track_caller]
fn expands(source: &str, expected: &str) {
    // how the printer spaces punctuation depends on where it came from
    assert_eq!(expand(source).replace(' ', ""), tokens(expected).to_string().replace(' ', ""));
}

/// The documentation of every handle.
fn seen_as(view: &str) -> String {
    format!("#[doc = \"The session of a request, seen as `{view}`.\"]")
}

#[test]
fn an_empty_view() {
    let expands = |source: &str, handle: &str, krate: &str, head: &str, name: &str| {
        let docs = seen_as(name);
        expands(source, &format!("{krate}::__session_view! {{ {head} {handle} [{docs}] [] {{}} }}"));
    };
    expands("struct S {}", "SHandle", "::sessions", "S", "S");
    expands("pub(crate) struct r#type {}", "typeHandle", "::sessions", "pub(crate) r#type", "type");
    let source = r#"#[session(crate = "crate::a", handle = "H")] pub struct S {}"#;
    expands(source, "H", "crate::a", "pub S", "S");
}

#[test]
fn the_handle_has_the_documentation_of_the_struct() {
    let output = expand("/// A visit.\n///\n/// Of a page.\n#[doc(hidden)] struct S {}").replace(' ', "");
    let own = r#"#[doc=""]#[doc="Avisit."]#[doc=""]#[doc="Ofapage."]#[doc(hidden)]"#;
    assert!(output.contains(&format!("[{}{own}]", seen_as("S").replace(' ', ""))), "{output}");
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
        r#"
        ::sessions::__session_view! {
            MySession MySessionHandle [#[doc = "The session of a request, seen as `MySession`."]] []
        {
            #[doc = "Returns `page_count`, or its default."] #[inline] #[must_use]
            fn page_count(&self) -> u32 {
                self.__inner.__field_copied::<u32>(0)
            }
            #[doc = "Sets the field, and overwrites earlier additions."] #[inline]
            fn set_page_count(&mut self, value: u32) {
                self.__inner.__field_set::<u32>(0, value);
            }
            #[doc = "Borrows the field mutably: the difference is added to what is stored."] #[inline]
            fn page_count_mut(&mut self) -> &mut u32 {
                self.__inner.__field_edit::<u32>(0)
            }
            #[doc = "Removes the stored value: the field has its default again."] #[inline]
            fn reset_page_count(&mut self) {
                self.__inner.__field_remove(0);
            }
            #[doc = "Adds to the field. The additions of overlapping requests all count."] #[inline]
            fn add_page_count(&mut self, by: ::core::primitive::i64) {
                self.__inner.__field_add(0, by);
            }
            #[doc = "Adds to the field in the store, now, and returns the sum."] #[inline]
            fn fetch_add_page_count(&mut self, by: ::core::primitive::i64)
                -> ::sessions::__private::BoxFuture<'_, ::core::result::Result<u32, ::sessions::Error> >
            {
                self.__inner.__field_fetch_add::<u32>(0, by)
            }
            #[doc = " Shown once."] #[inline] #[must_use]
            fn message(&self) -> ::core::option::Option<&::core::primitive::str> {
                self.__inner.__field_str_option::<String>(1)
            }
            #[doc = "Returns true if there is a flash to deliver."] #[inline] #[must_use]
            fn has_message(&self) -> ::core::primitive::bool {
                self.__inner.__field_has(1)
            }
            #[doc = "Stores the flash until a request takes it, this one or a later one."] #[inline]
            fn flash_message(&mut self, value: impl ::core::convert::Into<String>) {
                self.__inner.__field_flash_into::<String>(1, value);
            }
            #[doc = "Shows this value as the flash in this request only."] #[inline]
            fn flash_now_message(&mut self, value: impl ::core::convert::Into<String>) {
                self.__inner.__field_flash_now_into::<String>(1, value);
            }
            #[doc = "Delivers the flash: it is gone once the request is answered."] #[inline]
            fn take_message(&mut self) -> ::core::option::Option<String> {
                self.__inner.__field_take::<String>(1)
            }
            #[doc = "Undoes this request's take: a later request has the flash again."] #[inline]
            fn keep_message(&mut self) {
                self.__inner.__field_keep(1);
            }
            #[doc = "Removes the flash undelivered."] #[inline]
            fn discard_message(&mut self) {
                self.__inner.__field_discard::<String>(1);
            }
        }
            { 0 page_count [ u32 ] __field_cloned plain("page_count") [ .merge_add::<u32>().type_name("u32") ] }
            { 1 message [ String ] __field_cloned_option stored("message") [ .flash().type_name("String") ] }
        }"#,
    );
}

#[test]
fn every_attribute() {
    let source = r#"
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
        }"#;
    let output = expand(source).replace(' ', "");
    let head = r#"::sessions::__session_view! {
            pub S SHandle [#[doc = "The session of a request, seen as `S`."]] [std::vec::Vec<Item>, my::Type, Stamp] {} }
        "#;
    let head = tokens(head).to_string().replace(' ', "");
    assert!(output.starts_with(head.trim_end_matches("}}")), "{output}");
    // behind the accessors, the braces of the invocation close after those of the fields
    let at = output.find("{0all_items").unwrap();
    let expected = r#"{{
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
                    .type_name("Vec<Item> with b")
                ]
            }
            {
                1 r#type [ my::Type ] __field_cloned
                skipped() [ .or(|| ::sessions::__private::value::<my::Type>(7)) ]
            }
            { 2 cache [ Vec<u8> ] __field_cloned_option skipped() [] }
            { 3 last_seen [ Stamp ] __field_cloned_option stored("cart.lastSeen") [ .merge_max::<Stamp>().type_name("Stamp") ] }
        }
        const _: () = {
            use ::sessions::__private::NotOption as _;
            ::core::assert!(
                !::sessions::__private::Probe::<my::Type>::IS_OPTION,
                "the type of the field `r#type` is an `Option` behind an alias; write `Option<…>` itself"
            )
        };"#;
    let expected = tokens(expected).to_string().replace(' ', "");
    assert_eq!(output[at..], expected[1..]);
    for (method, call) in [
        ("pub fn all_items(&self) -> &[Item]", "__field_slice::<std::vec::Vec<Item> >(0)"),
        (
            "pub fn set_all_items(&mut self, value: std::vec::Vec<Item>)",
            "__field_set::<std::vec::Vec<Item> >(0, value);",
        ),
        (
            "pub fn all_items_mut(&mut self) -> &mut std::vec::Vec<Item>",
            "__field_edit::<std::vec::Vec<Item> >(0)",
        ),
        ("pub fn reset_all_items(&mut self)", "__field_remove(0);"),
        ("pub fn r#type(&self) -> &my::Type", "__field_get::<my::Type>(1)"),
        ("pub fn set_type(&mut self, value: my::Type)", "__field_set::<my::Type>(1, value);"),
        ("pub fn cache(&self) -> ::core::option::Option<&[u8]>", "__field_slice_option::<Vec<u8> >(2)"),
        ("pub fn has_cache(&self) -> ::core::primitive::bool", "__field_has(2)"),
        (
            "pub fn cache_mut(&mut self) -> ::core::option::Option<&mut Vec<u8> >",
            "__field_edit_option::<Vec<u8> >(2)",
        ),
        ("pub fn take_cache(&mut self) -> ::core::option::Option<Vec<u8> >", "__field_take::<Vec<u8> >(2)"),
        ("pub fn remove_cache(&mut self)", "__field_remove(2);"),
        ("pub fn r#match(&self) -> ::core::option::Option<Stamp>", "__field_copied_option::<Stamp>(3)"),
        ("pub fn set_match(&mut self, value: Stamp)", "__field_set::<Stamp>(3, value);"),
        (
            "pub fn match_mut(&mut self) -> ::core::option::Option<&mut Stamp>",
            "__field_edit_option::<Stamp>(3)",
        ),
    ] {
        let method = tokens(&format!("{method} {{ self.__inner.{call} }}")).to_string().replace(' ', "");
        assert!(output.contains(&method), "{method}: {output}");
    }
    assert_eq!(output[..at].matches("pubfn").count(), 4 + 4 + 6 + 6);
    let docs = [
        r#"#[doc="One."]#[doc="Two."]#[doc(hidden)]#[inline]#[must_use]pubfnall_items("#,
        r#"#[doc="Returns`type`,oritsdefault."]#[inline]#[must_use]pubfnr#type("#,
        r#"#[doc="Returns`cache`,ifithasavalue."]#[doc(alias="x")]#[inline]#[must_use]pubfncache("#,
    ];
    for docs in docs {
        assert!(output.contains(docs), "{docs}: {output}");
    }
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
        let output = expand(&format!("struct S {{ #[session(merge = \"last\")] n: {ty} }}")).replace(' ', "");
        let getter = format!("fnn(&self)->{returns}{{self.__inner.{read}::<{ty}>(0)}}").replace(' ', "");
        assert!(output.contains(&getter), "{ty}: {output}");
        let write = if ty == "String" { "__field_set_into" } else { "__field_set" };
        let setter = format!("fnset_n(&mutself,value:{takes}){{self.__inner.{write}::<{ty}>(0,value);}}");
        assert!(output.contains(&setter.replace(' ', "")), "{ty}: {output}");
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
