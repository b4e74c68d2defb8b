//! Who may know whom: fails when a module of the library imports in a forbidden direction.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "architecture/language.rs"]
mod language;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules in order: each may use those above it, and its own.
///
/// The store's drivers know the store's contract and what is above it; the slot knows no framework
/// and no HTTP; the axum part is the last.
const ORDER: [(&str, &[&str]); 21] = [
    ("value", &[]),
    ("sync", &[]),
    ("span", &[]),
    ("error", &["value"]),
    ("delta", &["value"]),
    ("clock", &["value"]),
    ("random", &["error"]),
    ("keys", &["value", "error", "random"]),
    ("store", &["value", "error", "delta", "clock", "random", "sync"]),
    ("event", &["value", "error"]),
    ("slot", &["value", "error", "delta", "random", "keys", "store", "event", "clock", "span", "sync"]),
    ("handle", &["value", "error", "delta", "random", "event", "slot", "sync"]),
    ("view", &["handle", "private"]),
    ("views", &["error", "handle", "slot", "sync"]),
    ("schema", &["views"]),
    ("rejection", &["value", "error", "layer"]),
    ("layer", &["value", "error", "keys", "event", "slot", "store", "clock", "handle", "views"]),
    ("find", &["value", "error", "handle", "layer", "slot", "view"]),
    ("axum", &["error", "handle", "layer", "slot", "rejection", "value"]),
    (
        "private",
        &[
            "axum",
            "find",
            "handle",
            "layer",
            "rejection",
            "error",
            "value",
            "slot",
            "view",
            "views",
            "schema",
        ],
    ),
    ("macros", &["handle"]),
];

/// Not part of the order: these see everything.
const OUTSIDE: [&str; 4] = ["fuzzing", "guide", "lib", "testing"];

/// Crates that only these modules may name.
const CRATES: [(&str, &[&str]); 17] = [
    ("axum_core", &["axum"]),
    ("axum", &[]),
    ("http", &["axum", "layer", "rejection", "store"]),
    ("cookie", &["layer"]),
    ("tower_layer", &["layer"]),
    ("tower_service", &["layer"]),
    ("sqlx", &["store"]),
    ("redis", &["store"]),
    ("bb8_redis", &["store"]),
    ("hyper", &["store"]),
    ("getrandom", &["random"]),
    ("sha2", &["value", "keys"]),
    // `ring` and rustls have modules of this name, too.
    ("hmac", &["keys", "store"]),
    ("chacha20poly1305", &["keys"]),
    ("serde", &["handle", "private", "store", "value"]),
    ("shuttle", &["sync"]),
    ("tracing", &["event", "span", "store"]),
];

/// Folders in which files import from each other one way: no file needs another one that needs it.
///
/// A file may use the types of its own `mod.rs` or `lib.rs`, to implement more of them; that is no circle.
const WITHOUT_CIRCLES: [&str; 10] = [
    "sessions/src/handle",
    "sessions/src/keys",
    "sessions/src/layer",
    "sessions/src/slot",
    "sessions/src/store/hash",
    "sessions/src/store/redis",
    "sessions/src/store/sqlite",
    "sessions/src/store/webdis",
    "sessions/src/views",
    "sessions-macros/src",
];

/// Re-exports of `lib.rs` that are not of the module of their name.
const REEXPORTED: [(&str, &str); 1] = [("__private", "private")];

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let root = workspace().join("sessions/src");
    for file in rust_files(&root) {
        let module = module_of(file.strip_prefix(&root).expect("a file below"));
        seen.insert(module.clone());
        let text = fs::read_to_string(&file).expect("a readable file");
        wrong
            .extend(violations(&module, &text).into_iter().map(|what| format!("{}: {what}", file.display())));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for (module, _) in ORDER {
        assert!(seen.contains(module), "there is no module `{module}` any more");
    }
}

/// `SECURITY.md` and `docs/asvs.md` name the tests that show a promise: each is there.
#[test]
fn what_is_promised_has_its_test() {
    for (document, at_least) in [("SECURITY.md", 100), ("docs/asvs.md", 40)] {
        let text = fs::read_to_string(workspace().join(document)).expect("a readable file");
        let (named, unknown) = named_tests(&text);
        assert!(unknown.is_empty(), "{document} names tests that are not there: {unknown:#?}");
        assert!(named > at_least, "{document}");
    }
}

/// The number of tests that a text names, and the names of those that do not exist.
fn named_tests(text: &str) -> (usize, Vec<&str>) {
    let sources: String = ["sessions/src", "sessions-macros/src", "tests/tests", "models/tests"]
        .iter()
        .flat_map(|folder| all_rust_files(&workspace().join(folder)))
        .map(|file| fs::read_to_string(file).expect("a readable file"))
        .collect();
    let is_known = |name: &str| sources.contains(&format!("fn {name}("));
    let quoted = text.split('`').skip(1).step_by(2);
    let named: Vec<_> = quoted.filter_map(|quoted| Some(quoted.rsplit_once("::")?.1)).collect();
    // Types and their methods are quoted too; a test's name is a sentence.
    let tests = named.iter().filter(|name| name.matches('_').count() >= 3);
    let unknown = tests.clone().copied().filter(|name| !is_known(name)).collect();
    (tests.count(), unknown)
}

#[test]
fn files_import_one_way() {
    for folder in WITHOUT_CIRCLES {
        let imports = imports_by_file(&workspace().join(folder));
        assert!(imports.len() > 3 && imports.values().any(|used| !used.is_empty()), "{folder}: {imports:?}");
        assert_eq!(circle(&imports), None, "{folder}: files that import each other");
    }
}

#[test]
fn the_checker_finds_planted_circles() {
    let imports = |pairs: &[(&str, &[&str])]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs.iter().map(|(file, used)| ((*file).to_owned(), own(used))).collect()
    };
    let fine = imports(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(circle(&fine), None);
    let wrong = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
    assert!(circle(&wrong).is_some_and(|files| files == ["b", "c"]));

    let files = ["one", "two", "three"].map(str::to_owned).into_iter().collect();
    let moved = [("Three".to_owned(), "three".to_owned())].into_iter().collect();
    let used = |text: &str| used_files(text, "super::", &files, &moved).into_iter().collect::<Vec<_>>();
    assert_eq!(used("use super::one;"), ["one"]);
    assert_eq!(used("use super::{\n    Slot, one::{A, B},\n    two,\n};"), ["one", "two"]);
    assert_eq!(used("use super::{Slot, Three};"), ["three"]);
    assert_eq!(used("fn f() { super::two::g() }"), ["two"]);
    assert_eq!(used("use super::super::one;\nuse crate::two;"), [""; 0]);
}

/// `ARCHITECTURE.md` names files and the functions that a load and a write pass: each is there.
#[test]
fn the_map_names_what_is_there() {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("a readable file");
    let sources: String = all_rust_files(&workspace().join("sessions/src"))
        .iter()
        .map(|file| fs::read_to_string(file).expect("a readable file"))
        .collect();
    for (title, most) in [("### A load, function by function", 20), ("### A write, function by function", 30)]
    {
        let section = text.split(title).nth(1).expect("the section");
        let section = section.split("\nA new session").next().and_then(|rest| rest.split("\n###").next());
        let functions: Vec<_> = section.unwrap_or_default().split('`').skip(1).step_by(2).collect();
        assert!((10..=most).contains(&functions.len()), "{title}: {}", functions.len());
        for function in functions {
            let name = function.rsplit("::").next().unwrap_or(function);
            let is_there =
                [format!("fn {name}("), format!("fn {name}<")].iter().any(|text| sources.contains(text));
            assert!(is_there, "{title}: there is no function `{function}` any more");
        }
    }
    let is_path = |quoted: &&str| {
        !quoted.contains('*')
            && (quoted.rsplit_once('.').is_some_and(|(_, end)| end == "rs") || quoted.ends_with('/'))
    };
    for path in text.split('`').skip(1).step_by(2).filter(is_path) {
        let candidates = ["", "sessions/src/", "sessions-macros/src/", "sessions-macros/"];
        let path = path.split('<').next().unwrap_or(path);
        assert!(
            candidates.iter().any(|folder| workspace().join(folder).join(path).exists()),
            "ARCHITECTURE.md names `{path}`, which is not there"
        );
    }
}

#[test]
fn drivers_know_bytes_ids_and_durations_only() {
    let root = workspace().join("sessions/src/store");
    for file in rust_files(&root) {
        let text = code(&fs::read_to_string(&file).expect("a readable file"));
        for word in ["Cookie", "SessionView", "TypedSession", "TokenHasher", "HeaderMap", "DeserializeOwned"]
        {
            assert!(!text.contains(word), "{}: names `{word}`", file.display());
        }
    }
}

/// A lock of the standard library's would stop the models, in which all threads share one of the system's. That of
/// the events is held across nothing that the models see.
#[test]
fn the_models_see_every_lock() {
    let root = workspace().join("sessions/src");
    let files = rust_files(&root.join("slot")).into_iter().chain(rust_files(&root.join("handle")));
    for file in files.chain(rust_files(&root.join("store/memory"))) {
        let text = code(&fs::read_to_string(&file).expect("a readable file"));
        let imports = text.split(';').map(str::trim).filter(|text| text.starts_with("use std::"));
        for word in ["Mutex", "RwLock", "Condvar"] {
            assert!(!imports.clone().any(|import| import.contains(word)), "{}: `{word}`", file.display());
            assert!(!text.contains(&format!("std::sync::{word}")), "{}: `{word}`", file.display());
        }
    }
}

#[test]
fn the_macro_crate_depends_on_nothing_here() {
    let manifest = fs::read_to_string(workspace().join("sessions-macros/Cargo.toml")).expect("a manifest");
    assert!(!manifest.contains("path ="), "a path dependency");
    let dependencies = manifest.split("[dependencies]").nth(1).expect("dependencies");
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    for line in dependencies.lines() {
        assert!(!line.trim_start().starts_with("sessions"), "{line}");
    }
}

#[test]
fn there_is_no_unsafe_code() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).expect("a manifest");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for member in ["sessions", "sessions-macros", "tests"] {
        let manifest = fs::read_to_string(workspace().join(member).join("Cargo.toml")).expect("a manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{member} does not take the workspace's lints"
        );
        for file in rust_files(&workspace().join(member)) {
            let text = code(&fs::read_to_string(&file).expect("a readable file"));
            let word = ["un", "safe "].concat();
            assert!(!text.contains(&word), "{}", file.display());
        }
    }
}

#[test]
fn every_scenario_is_run() {
    let root = workspace().join("sessions/src/testing/conformance");
    let list = fs::read_to_string(root.join("mod.rs")).expect("the list");
    let listed: BTreeSet<_> = list.lines().map(str::trim).collect();
    for file in rust_files(&root) {
        let text = fs::read_to_string(&file).expect("a readable file");
        for line in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
            let name = line.split('(').next().unwrap_or_default();
            assert!(listed.contains(name), "{}: `{name}` is not in `conformance!`", file.display());
        }
    }
}

#[test]
fn the_checker_finds_planted_violations() {
    let planted = [
        ("store", "use crate::slot::Slot;"),
        ("store", "use crate::{\n    error::Error,\n    layer::{cookie, SessionLayer},\n};"),
        ("value", "fn f() -> crate::error::Error { todo!() }"),
        ("slot", "use http::HeaderMap;"),
        ("slot", "use crate::layer::cookie::CookieConfig;"),
        ("slot", "fn f(x: &::axum_core::body::Body) {}"),
        ("handle", "use axum_core::extract::FromRequestParts;"),
        ("handle", "use crate::{slot::Slot, axum::extract};"),
        ("store", "use sqlx::Row;\nuse cookie::Cookie;"),
        ("delta", "use super::super::store::Commit;"),
        ("store", "use super::super::{slot::Slot};"),
        ("event", "use crate::Handle;"),
    ];
    for (module, text) in planted {
        assert!(!violations(module, text).is_empty(), "{module}: {text}");
    }
    let fine = [
        ("store", "use crate::{\n    error::Error,\n    value::{Fields, RecordId},\n};\nuse sqlx::Row;"),
        ("slot", "//! Knows no axum: `use http::Uri` is for others.\nuse crate::store::Commit;"),
        ("axum", "use axum_core::response::Response;\nuse http::request::Parts;"),
    ];
    for (module, text) in fine {
        assert_eq!(violations(module, text), [""; 0], "{module}");
    }
}

/// What a module's text imports that it must not.
fn violations(module: &str, text: &str) -> Vec<String> {
    let text = code(text);
    if OUTSIDE.contains(&module) {
        return Vec::new();
    }
    let Some((_, allowed)) = ORDER.iter().find(|(name, _)| *name == module) else {
        return vec![format!("the module `{module}` has no place in the order")];
    };
    let mut wrong = Vec::new();
    for used in used_modules(&text) {
        let used =
            REEXPORTED.iter().find(|(name, _)| *name == used).map_or(used.as_str(), |(_, module)| module);
        if used != module && !allowed.contains(&used) {
            wrong.push(format!("`{module}` must not use `{used}`"));
        }
    }
    for (name, modules) in CRATES {
        if names_crate(&text, name) && !modules.contains(&module) {
            wrong.push(format!("`{module}` must not name the crate `{name}`"));
        }
    }
    wrong
}

/// The first segments after `crate::` and after `super::super::`, of groups too.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for root in ["crate::", "super::super::"] {
        for (at, _) in text.match_indices(root) {
            // `$crate::` is the user's path to the public API.
            if text[..at].ends_with('$')
                || text[..at].ends_with(|character: char| character.is_alphanumeric())
            {
                continue;
            }
            let rest = &text[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                used.extend(group_heads(group));
            } else {
                used.insert(segment(rest));
            }
        }
    }
    // Within a file of a module's folder this is the module itself.
    used.remove("super");
    used.remove("self");
    used
}

/// The first segment of each path in a group.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(segment(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(segment(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn segment(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

/// Whether a path begins with this crate's name: at `use`, after `::`, or in an expression.
fn names_crate(text: &str, name: &str) -> bool {
    let path = format!("{name}::");
    text.match_indices(&path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let inner = before.is_some_and(|character| character.is_alphanumeric() || character == '_');
        // `crate::axum::…` and `self::cookie::…` are modules.
        let of_path =
            text[..at].ends_with("::") && !text[..at].ends_with(" ::") && !text[..at].ends_with("&::");
        let in_group = {
            let line = text[..at].rsplit(';').next().unwrap_or_default();
            line.contains('{') && line.trim_start().starts_with("use ")
        };
        !inner && !of_path && !in_group
    })
}

/// The text without comments and without its tests.
fn code(text: &str) -> String {
    // At the begin of a line: a method for tests is not the end of the file.
    let text = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().map(|line| match line.find("//") {
        Some(at) => &line[..at],
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Which files of a folder each file uses. A file below a folder of its own counts as that folder's.
fn imports_by_file(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let stem = |file: &Path| module_of(file.strip_prefix(folder).expect("a file below"));
    let is_root = |file: &Path| ["mod", "lib"].contains(&stem(file).as_str());
    let files = rust_files(folder);
    let known: BTreeSet<_> = files.iter().filter(|file| !is_root(file)).map(|file| stem(file)).collect();
    let mut moved = BTreeMap::new();
    for root in files.iter().filter(|file| is_root(file)) {
        for path in use_paths(&code(&fs::read_to_string(root).expect("a readable file"))) {
            let parts: Vec<_> = path.trim_start_matches("self::").split("::").collect();
            if let [file, .., name] = parts[..]
                && known.contains(file)
            {
                moved.insert(name.to_owned(), file.to_owned());
            }
        }
    }
    let is_crate = folder.join("lib.rs").exists();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| !is_root(file)) {
        let text = code(&fs::read_to_string(file).expect("a readable file"));
        let depth = file.strip_prefix(folder).expect("a file below").components().count();
        let depth = if file.ends_with("mod.rs") { depth - 1 } else { depth };
        let mut used = used_files(&text, &"super::".repeat(depth), &known, &moved);
        if is_crate {
            used.extend(used_files(&text, "crate::", &known, &moved));
        }
        used.remove(&stem(file));
        imports.entry(stem(file)).or_default().extend(used);
    }
    imports
}

/// The files among these that a text names after this root, by themselves or by what their parent re-exports.
fn used_files(
    text: &str,
    root: &str,
    files: &BTreeSet<String>,
    moved: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let of_root = |path: &str| {
        let rest = path.strip_prefix(root)?;
        let name = segment(rest);
        if files.contains(&name) { Some(name) } else { moved.get(&name).cloned() }
    };
    let mut used: BTreeSet<_> = use_paths(text).iter().filter_map(|path| of_root(path)).collect();
    for (at, _) in text.match_indices(root) {
        let is_inner = text[..at].ends_with("::") || text[..at].ends_with('$');
        used.extend(of_root(&text[at..]).filter(|_| !is_inner));
    }
    used
}

/// The paths of all `use` declarations, one for each name.
fn use_paths(text: &str) -> Vec<String> {
    let trees = text.split(';').filter_map(|part| {
        let at = part.rfind("use ")?;
        let is_declaration = part[..at].chars().next_back().is_none_or(char::is_whitespace);
        is_declaration.then(|| &part[at + "use ".len()..])
    });
    trees.flat_map(|tree| tree_paths("", tree)).collect()
}

/// The paths of a tree such as `a::{b, c::{d, e}}`.
fn tree_paths(prefix: &str, tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return if path.is_empty() { Vec::new() } else { vec![format!("{prefix}{path}")] };
    };
    let (prefix, group) = (format!("{prefix}{}", tree[..open].trim()), &tree[open + 1..]);
    let (mut paths, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                paths.extend(tree_paths(&prefix, &group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                paths.extend(tree_paths(&prefix, &group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    paths
}

/// Files that import each other, if there are any.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut left = imports.clone();
    loop {
        let done: Vec<_> =
            left.iter().filter(|(_, used)| used.iter().all(|file| !left.contains_key(file))).collect();
        let done: Vec<_> = done.into_iter().map(|(file, _)| file.clone()).collect();
        if done.is_empty() {
            break;
        }
        left.retain(|file, _| !done.contains(file));
    }
    // What only leads into a circle is none of it.
    loop {
        let used: BTreeSet<_> = left.values().flatten().cloned().collect();
        let before = left.len();
        left.retain(|file, _| used.contains(file));
        if left.len() == before {
            break;
        }
    }
    (!left.is_empty()).then(|| left.into_keys().collect())
}

fn module_of(path: &Path) -> String {
    let first = path.components().next().expect("a path").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Those of the library itself: unit tests see what they like.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let is_test = |file: &PathBuf| {
        let below = file.strip_prefix(folder).unwrap_or(file);
        below.iter().any(|part| part == "tests" || part == "tests.rs")
    };
    all_rust_files(folder).into_iter().filter(|file| !is_test(file)).collect()
}

fn all_rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(all_rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}
