//! The test of a program's session fields against a committed file, so that a deploy breaks no stored session.

mod compare;
mod file;

use std::{env, fs, io::ErrorKind, path::Path};

use self::{
    compare::{SchemaChange, changes},
    file::Schema,
};
use crate::views::{ViewList, Views, described};

/// The environment variable that has the test write the file.
const VARIABLE: &str = "SESSION_SCHEMA";

/// Makes a test that compares the fields of these views with a committed file, and fails on what would break stored
/// sessions.
///
/// One line in the application's crate is enough. The file is `session-schema.json`, beside `Cargo.toml`:
///
/// ```
/// # use sessions::Session;
/// # #[derive(Session)] struct Visit { count: u32 }
/// # #[derive(Session)] struct Login { user_id: Option<u64> }
/// sessions::schema_test!(Visit, Login);
/// ```
///
/// The test is called `session_schema`. The first time, and whenever the fields changed on purpose, it writes the file:
///
/// ```sh
/// SESSION_SCHEMA=write cargo test session_schema
/// ```
///
/// Then the file is committed, and its difference is reviewed with the code. Another file is named first:
/// `schema_test!("schema/shop.json": Visit, Login)`. A list of views counts for all of its views
/// ([`views!`](crate::views)).
///
/// | change | stored sessions | way out |
/// |---|---|---|
/// | a field is removed, or its older name | lose it | if it was renamed, `alias` with the old name |
/// | another type | may not decode, and then have the default (`on_invalid`) | another name with `rename`, or one `type = "…"` if the JSON is the same |
/// | to or from `#[flash]`, `secret`, `entries`, `append` | lose it | another name with `rename` |
/// | `privilege`, `identity` where there was none | have the right unset | nothing, if users may log in again |
/// | a new field, a new `alias`, another `merge`, `keep_on_logout` and the like | are read | write the file again |
///
/// The test fails on each of these, and its message tells them apart: what breaks, and what only asks for a new file.
#[macro_export]
macro_rules! schema_test {
    ($file:literal: $($View:ty),* $(,)?) => {
        #[test]
        fn session_schema() {
            let directory = ::core::env!("CARGO_MANIFEST_DIR");
            $crate::__private::check_schema($crate::views![$($View),*], directory, $file);
        }
    };
    ($($View:ty),* $(,)?) => {
        $crate::schema_test!("session-schema.json": $($View),*);
    };
}

/// Compares the fields of views with a file, or writes it. Not public API.
///
/// # Panics
///
/// If they differ, or the file cannot be read or written.
#[doc(hidden)]
#[track_caller]
pub fn check_schema<L: ViewList>(_: Views<L>, directory: &str, file: &str) {
    let path = Path::new(directory).join(file);
    let is_written = env::var_os(VARIABLE).is_some_and(|value| value == "write");
    if let Err(message) = check_file(&path, &Schema::new(described(&L::__LISTED.tables())), is_written) {
        panic!("{message}");
    }
}

fn check_file(path: &Path, now: &Schema, is_written: bool) -> Result<(), String> {
    let shown = path.display();
    if is_written {
        return fs::write(path, now.to_text())
            .map_err(|error| format!("`{shown}` cannot be written: {error}"));
    }
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no `{shown}` yet; run the test once with `{VARIABLE}=write` in its environment, and commit the file"
        ),
        _ => format!("`{shown}` cannot be read: {error}"),
    })?;
    let before = Schema::parse(&text).map_err(|fault| {
        format!("`{shown}` {fault}; take it from version control, or write it again with `{VARIABLE}=write`")
    })?;
    let changes = changes(&before, now);
    if changes.is_empty() { Ok(()) } else { Err(report(&shown.to_string(), &changes)) }
}

/// Returns the message about changes: those that break stored sessions first.
fn report(path: &str, changes: &[SchemaChange]) -> String {
    let lines = |is_breaking: bool| -> Vec<String> {
        let chosen = changes.iter().filter(|change| change.is_breaking == is_breaking);
        chosen.map(|change| format!("- {}\n", change.text)).collect()
    };
    let (breaking, others) = (lines(true), lines(false));
    let mut message = format!("the session fields are not those of `{path}`\n");
    if !breaking.is_empty() {
        message += "\nThese break stored sessions:\n";
        message.extend(breaking.clone());
    }
    if !others.is_empty() {
        message += "\nThese do not:\n";
        message.extend(others);
    }
    let advice = if breaking.is_empty() {
        "Nothing breaks. Write the file again"
    } else {
        "If stored sessions may lose that, write the file again"
    };
    message
        + &format!(
            "\n{advice}: run the test once with `{VARIABLE}=write` in its environment, and commit the file.\n"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_breaks_and_how_to_go_on() {
        let change = |is_breaking, text: &str| SchemaChange { is_breaking, text: text.to_owned() };
        let message = report("a.json", &[change(false, "one"), change(true, "two")]);
        let (breaking, compatible) = (message.find("- two").unwrap(), message.find("- one").unwrap());
        assert!(breaking < compatible && message.contains("SESSION_SCHEMA=write"), "{message}");
        let message = report("a.json", &[change(false, "one")]);
        assert!(message.contains("Nothing breaks") && !message.contains("These break"), "{message}");
    }

    #[test]
    fn a_file_is_written_read_and_missed() {
        let directory = env::temp_dir().join(format!("sessions-schema-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("schema.json");
        let now = Schema::default();
        let missing = check_file(&path, &now, false).unwrap_err();
        assert!(missing.contains("SESSION_SCHEMA=write"), "{missing}");
        check_file(&path, &now, true).unwrap();
        assert_eq!(check_file(&path, &now, false), Ok(()));
        fs::write(&path, "{").unwrap();
        let broken = check_file(&path, &now, false).unwrap_err();
        assert!(broken.contains("is not JSON"), "{broken}");
        fs::remove_dir_all(&directory).unwrap();
    }
}
