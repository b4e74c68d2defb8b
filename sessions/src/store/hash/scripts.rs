//! The scripts, and the digests by which Redis knows them.

use std::sync::OnceLock;

/// A script and the hexadecimal SHA-1 of its text.
#[derive(Debug)]
pub(in crate::store) struct Script {
    pub(in crate::store) text: String,
    pub(in crate::store) sha: String,
}

impl Script {
    fn new(text: String) -> Self {
        let sha = sha1_smol::Sha1::from(&text).digest().to_string();
        Self { text, sha }
    }
}

/// The scripts.
#[derive(Debug)]
pub(in crate::store) struct Scripts {
    /// A create.
    #[cfg(feature = "redis")]
    pub(in crate::store) create: Script,
    /// A commit of puts alone.
    #[cfg(feature = "redis")]
    pub(in crate::store) puts: Script,
    /// Any commit.
    #[cfg(feature = "redis")]
    pub(in crate::store) commit: Script,
    /// A change of a row of the index.
    #[cfg(feature = "redis")]
    pub(in crate::store) index: Script,
    /// A destroy on a condition.
    #[cfg(feature = "redis")]
    pub(in crate::store) destroy_if: Script,
    /// Every operation, for Webdis.
    #[cfg(feature = "webdis")]
    pub(in crate::store) webdis: Script,
}

const RECORD: &str = include_str!("lua/record.lua");
const ALIVE: &str = include_str!("lua/alive.lua");
const TOUCH: &str = include_str!("lua/touch.lua");
const CREATE: &str = include_str!("lua/create.lua");
#[cfg(feature = "redis")]
const PUTS: &str = include_str!("lua/puts.lua");
const INDEX: &str = include_str!("lua/index.lua");
const DESTROY_IF: &str = include_str!("lua/destroy_if.lua");
const COMMIT: &str = include_str!("lua/commit.lua");
#[cfg(feature = "webdis")]
const LOAD: &str = include_str!("lua/load.lua");
#[cfg(feature = "webdis")]
const WEBDIS: &str = include_str!("lua/webdis.lua");

/// Returns the scripts, which are put together once.
pub(in crate::store) fn scripts() -> &'static Scripts {
    static SCRIPTS: OnceLock<Scripts> = OnceLock::new();
    SCRIPTS.get_or_init(|| Scripts {
        #[cfg(feature = "redis")]
        create: direct(&[RECORD, CREATE]),
        #[cfg(feature = "redis")]
        puts: direct(&[PUTS]),
        #[cfg(feature = "redis")]
        commit: direct(&[RECORD, ALIVE, TOUCH, COMMIT]),
        #[cfg(feature = "redis")]
        index: direct(&[RECORD, INDEX]),
        #[cfg(feature = "redis")]
        destroy_if: direct(&[RECORD, DESTROY_IF]),
        #[cfg(feature = "webdis")]
        webdis: webdis(),
    })
}

/// Returns a script for Redis' own protocol.
#[cfg(feature = "redis")]
fn direct(parts: &[&str]) -> Script {
    Script::new(without_comments(&format!("local args = ARGV\n{}", parts.concat())))
}

/// Returns the script for Webdis. Its second argument names the operation.
#[cfg(feature = "webdis")]
fn webdis() -> Script {
    let functions = [
        ("load", LOAD.to_owned()),
        ("create", CREATE.to_owned()),
        ("commit", [ALIVE, TOUCH, COMMIT].concat()),
        ("index", INDEX.to_owned()),
        ("destroy_if", DESTROY_IF.to_owned()),
        ("destroy", "return redis.call('DEL', key)\n".to_owned()),
    ];
    let mut text =
        String::from("local args = ARGV\nlocal nonce, verb = table.remove(args, 1), table.remove(args, 1)\n");
    text.push_str(RECORD);
    text.push_str("local run = {}\n");
    for (name, body) in functions {
        text.extend(["function run.", name, "()\n", &body, "end\n"]);
    }
    text.push_str(WEBDIS);
    Script::new(without_comments(&text))
}

/// Removes comments, indentation and empty lines, which are for readers of the source.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    let mut short = String::with_capacity(text.len());
    for line in lines {
        short.push_str(line);
        short.push('\n');
    }
    short
}
