//! Maps, sets and lists: how they are merged, and what does not go with that.

use super::{expand, fails, field_fails, passes};

#[test]
fn collections_name_their_merge() {
    let says = "a collection says what becomes of it when two requests change it at once; write";
    let last = "or `#[session(merge = \"last\")]` to keep the last one whole";
    for (ty, merge) in [
        ("HashMap<u8, u8>", "entries"),
        ("std::collections::BTreeMap<u8, u8>", "entries"),
        ("HashSet<u8>", "entries"),
        ("BTreeSet<u8>", "entries"),
        ("Vec<u8>", "append"),
    ] {
        let keep = format!("`#[session(merge = \"{merge}\")]` to keep what both put there");
        field_fails("", ty, &format!("{says} {keep}, {last}"), ty);
        field_fails("#[session(keep_on_logout)]", ty, &format!("{says} {keep}, {last}"), ty);
        let keep = format!("`n: {ty}` with {keep}");
        field_fails("", &format!("Option<{ty}>"), &format!("{says} {keep}, {last}"), ty);
    }
    let secret =
        "`#[session(merge = \"last\")]`, since the elements of a secret set are not stored one by one";
    field_fails("#[session(secret)]", "HashSet<u8>", &format!("{says} {secret}"), "HashSet<u8>");
    passes(
        r#"struct S {
            #[session(merge = "last")] a: Vec<u8>, #[session(merge = "first")] b: Option<Vec<u8>>,
            #[session(privilege)] c: Vec<u8>, #[session(identity)] d: Option<Vec<u8>>, #[session(skip)] e: Vec<u8>,
            #[session(with = "m")] f: Vec<u8>, #[flash] g: Option<Vec<u8>>, #[flash] h: Vec<u8>,
            i: VecDeque<u8>, j: Box<Vec<u8>>, k: my::Cart, l: [u8; 4], m: (Vec<u8>, u8),
        }"#,
    );
}

#[test]
fn maps_sets_and_lists_merge_by_entry() {
    passes(
        r#"struct S {
            #[session(merge = "entries", keep_on_logout, alias = "a2", rename = "a1")] a: HashMap<u8, u8>,
            #[session(merge = "entries", entry = "add")] b: BTreeMap<u8, u8>,
            #[session(merge = "entries", entry = "last", secret)] c: BTreeMap<u8, u8>,
            #[session(merge = "entries", drop_on_login, on_invalid = "reject")] d: HashSet<u8>,
            #[session(merge = "entries", entry = "max")] e: my::Cart,
            #[session(merge = "append", default)] f: Vec<u8>,
            #[session(merge = "append", keep_last = 5, secret)] g: Vec<u8>,
            #[session(merge = "append", keep_last = LIMIT * 2)] h: Vec<u8>,
            #[flash] #[session(keep_last = 5, alias = "i1")] i: Vec<u8>,
        }"#,
    );
    let output = expand(
        r#"struct S {
            #[session(merge = "entries", entry = "min")] a: BTreeMap<u8, u8>,
            #[session(merge = "entries", secret)] b: HashMap<u8, u8>,
            #[session(merge = "append", keep_last = N)] c: Vec<u8>,
            #[session(merge = "append")] d: Vec<u8>,
            #[flash] e: Vec<String>,
        }"#,
    )
    .replace(' ', "");
    for part in [
        "plain(\"a\")[.merge_entries::<BTreeMap<u8,u8>>().entry_min::<BTreeMap<u8,u8>>()",
        "plain(\"b\")[.merge_entries::<HashMap<u8,u8>>().secret_entries::<HashMap<u8,u8>>()",
        "plain(\"c\")[.merge_append::<Vec<u8>>(N)",
        "plain(\"d\")[.merge_append::<Vec<u8>>(100)",
        "plain(\"e\")[.flash_list::<Vec<String>>(100)",
        "fne(&self)->&[String]{self.__inner.__field_slice::<Vec<String>>(4)}",
        "fnflash_e(&mutself,value:impl::core::convert::Into<String>){self.__inner.__field_flash_item_into::<String>(4,value);}",
        "fntake_e(&mutself)->Vec<String>{self.__inner.__field_take_list::<Vec<String>>(4)}",
        "fnkeep_e(&mutself){self.__inner.__field_keep(4);}",
        "fndiscard_e(&mutself){self.__inner.__field_discard_list(4);}",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    for absent in ["set_e", "e_mut", "has_e", "flash_now_e"] {
        assert!(!output.contains(&format!("fn{absent}")), "{absent}: {output}");
    }
}

#[test]
fn the_merge_fits_the_collection() {
    let maps = "a `HashMap`, `BTreeMap`, `HashSet` or `BTreeSet`";
    for (merge, ty, message) in [
        ("entries", "Vec<u8>", format!("`merge = \"entries\"` is for {maps}; write `merge = \"append\"` for `Vec<u8>`")),
        ("append", "HashSet<u8>", "`merge = \"append\"` is for a `Vec`; write `merge = \"entries\"` for `HashSet<u8>`".to_owned()),
        ("entries", "String", format!("`merge = \"entries\"` is for {maps}, not for `String`; write `merge = \"last\"`")),
        ("append", "u8", "`merge = \"append\"` is for a `Vec`, not for `u8`; write `merge = \"last\"`".to_owned()),
        ("append", "Log", "`merge = \"append\"` is for a `Vec`, not for `Log`; write `merge = \"last\"`".to_owned()),
        (
            "entries",
            "VecDeque<u8>",
            format!("`merge = \"entries\"` is for {maps}, not for `VecDeque<u8>`; write `merge = \"last\"`"),
        ),
        (
            "entries",
            "Option<BTreeSet<u8>>",
            "`merge = \"entries\"` does not fit an `Option`, since a collection without entries is absent; write `n: BTreeSet<u8>`".to_owned(),
        ),
        (
            "append",
            "Option<Vec<u8>>",
            "`merge = \"append\"` does not fit an `Option`, since a collection without entries is absent; write `n: Vec<u8>`".to_owned(),
        ),
    ] {
        field_fails(&format!("#[session(merge = \"{merge}\")]"), ty, &message, &format!("\"{merge}\""));
    }
}

#[test]
fn what_is_of_a_whole_does_not_go_with_entries() {
    field_fails(
        "#[session(merge = \"append\", with = \"m\")]",
        "Vec<u8>",
        "`with` contradicts `merge = \"append\"`, which stores each entry as serde writes it; remove one of them",
        "with",
    );
    field_fails(
        "#[session(merge = \"entries\", default = a())]",
        "HashSet<u8>",
        "`default` contradicts `merge = \"entries\"`, since a collection without entries is empty; remove it, or write `merge = \"last\"`",
        "default",
    );
    for class in ["privilege", "identity"] {
        let (errors, _) = super::split(&format!(
            "struct S {{ #[session(merge = \"entries\", entry = \"add\", {class})] n: HashMap<u8, u8> }}"
        ));
        let message = format!(
            "`{class}` contradicts `merge = \"entries\"`, since a right is never merged with that of another request; remove one of them"
        );
        assert_eq!(errors, [(message, class.to_owned())]);
    }
    field_fails(
        "#[session(merge = \"entries\", secret)]",
        "BTreeSet<u8>",
        "`merge = \"entries\"` contradicts `secret` on a set, whose elements would be readable as keys in the store; write `merge = \"last\"`, or keep them as the values of a map",
        "\"entries\"",
    );
    field_fails(
        "#[flash] #[session(merge = \"append\")]",
        "Vec<u8>",
        "`merge` contradicts `#[flash]`, which is delivered once and never merged; remove one of them",
        "merge",
    );
    field_fails(
        "#[session(skip, merge = \"append\")]",
        "Vec<u8>",
        "`merge` has no meaning with `skip`, since the field is never stored; remove one of them",
        "merge",
    );
}

#[test]
fn entry_and_keep_last_stand_beside_their_merge() {
    let entry =
        "`entry` says how one entry of a map is merged; write `merge = \"entries\"` beside it, or remove it";
    field_fails("#[session(entry = \"add\")]", "u8", entry, "entry");
    field_fails("#[session(merge = \"append\", entry = \"add\")]", "Vec<u8>", entry, "entry");
    field_fails(
        "#[session(merge = \"entries\", entry = \"add\")]",
        "HashSet<u8>",
        "`entry` is about the values of a map, and a set has none; remove it, or write a map of numbers",
        "entry",
    );
    field_fails(
        "#[session(merge = \"entries\", entry = \"add\", secret)]",
        "HashMap<u8, u8>",
        "`entry` contradicts `secret`, since the store cannot read what is sealed; remove one of them",
        "entry",
    );
    field_fails(
        "#[session(merge = \"entries\", entry = \"frist\")]",
        "HashMap<u8, u8>",
        "unknown value `frist` for `entry`; write one of `last`, `add`, `max`, `min`",
        "\"frist\"",
    );
    let keep_last = "`keep_last` says how many items of a list stay; write `merge = \"append\"` or `#[flash]` beside it, on a `Vec`, or remove it";
    field_fails("#[session(keep_last = 3)]", "u8", keep_last, "keep_last");
    field_fails("#[session(merge = \"last\", keep_last = 3)]", "Vec<u8>", keep_last, "keep_last");
    field_fails("#[session(merge = \"entries\", keep_last = 3)]", "HashSet<u8>", keep_last, "keep_last");
    field_fails("#[flash] #[session(keep_last = 3)]", "Option<Vec<u8>>", keep_last, "keep_last");
    let number = "`keep_last` takes a number of at least one behind `=`; write `keep_last = 20`";
    for value in ["\"3\"", "0", "1.5", "true"] {
        field_fails(
            &format!("#[session(merge = \"append\", keep_last = {value})]"),
            "Vec<u8>",
            number,
            value,
        );
    }
    field_fails("#[session(merge = \"append\", keep_last)]", "Vec<u8>", number, "keep_last");
    field_fails("#[session(merge = \"append\", keep_last(3))]", "Vec<u8>", number, "keep_last");
}

#[test]
fn no_stored_name_has_the_bracket_of_an_entry() {
    let message = "a stored name has no `[`, which begins the key of an entry; write one without it";
    fails(
        r#"struct S { #[session(rename = "a[1]", alias = "b[")] n: u8 }"#,
        &[(message, "\"a[1]\""), (message, "\"b[\"")],
    );
    passes(r#"struct S { #[session(rename = "a]")] n: u8 }"#);
}
