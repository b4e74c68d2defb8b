//! One word for one thing: type names, and words that have given way to the field's own.

use std::{collections::BTreeMap, fs};

use super::{all_rust_files, code, rust_files, workspace};

/// The crates whose types have one name each. Scenarios have views of their own, file by file.
const FOLDERS: [&str; 2] = ["sessions/src", "sessions-macros/src"];

/// Files with stand-ins, which have the names of what they stand in for.
const STAND_INS: [&str; 1] = ["keys/none.rs"];

/// Words of the first drafts, and where one of them still has its ordinary meaning. `CONTRIBUTING.md` has the words
/// that took their place.
const REPLACED: [(&str, &[&str]); 12] = [
    ("ledger", &[]),
    ("handed", &["models/", "tests/"]),
    ("rescue", &[]),
    ("unheard", &[]),
    ("orphan", &[]),
    ("errand", &[]),
    ("errands", &[]),
    ("seat", &[]),
    ("lane", &["benches/"]),
    ("lanes", &["benches/"]),
    ("wishes", &[]),
    ("reseal", &[]),
];

#[test]
fn a_type_name_stands_for_one_thing() {
    for folder in FOLDERS {
        let homes = homes_of_types(folder);
        assert!(homes.len() > 20, "{folder}: {}", homes.len());
        let doubles: BTreeMap<_, _> = homes.into_iter().filter(|(_, files)| files.len() > 1).collect();
        assert!(doubles.is_empty(), "these stand for more than one thing: {doubles:#?}");
    }
}

/// The files in which each type name of a crate is declared.
fn homes_of_types(folder: &str) -> BTreeMap<String, Vec<String>> {
    let mut homes = BTreeMap::<String, Vec<String>>::new();
    let root = workspace();
    for file in rust_files(&root.join(folder)) {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        if name.contains("/conformance/") || STAND_INS.iter().any(|stand_in| name.ends_with(stand_in)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a readable file");
        for declared in declared_types(&code(&text)) {
            homes.entry(declared).or_default().push(name.clone());
        }
    }
    homes
}

#[test]
fn no_replaced_word_is_left() {
    let root = workspace();
    let folders =
        ["sessions/src", "sessions-macros/src", "tests", "models/tests", "fuzz/fuzz_targets", "benches/src"];
    let mut files: Vec<_> = folders.iter().flat_map(|folder| all_rust_files(&root.join(folder))).collect();
    files.extend(
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"].map(|file| root.join(file)),
    );
    let mut left = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        if name.ends_with("architecture/language.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a readable file").to_lowercase();
        let words = text.split(|c: char| !c.is_alphanumeric());
        let known: std::collections::BTreeSet<_> = words.collect();
        for (word, allowed) in REPLACED {
            if known.contains(word) && !allowed.iter().any(|part| name.contains(part)) {
                left.push(format!("{name}: {word}"));
            }
        }
    }
    assert!(left.is_empty(), "\n{}", left.join("\n"));
}

/// The names of structs, enums, traits and type aliases; not of associated types.
fn declared_types(code: &str) -> Vec<String> {
    let declaration = |line: &str| {
        let text = line.trim_start();
        let is_indented = text.len() < line.len();
        let text = match text.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
            Some(rest) => rest.trim_start(),
            None => text,
        };
        let (keyword, rest) = text.split_once(' ')?;
        let declares = matches!(keyword, "struct" | "enum" | "trait") || (keyword == "type" && !is_indented);
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (declares && !name.is_empty()).then_some(name)
    };
    code.lines().filter_map(declaration).collect()
}
