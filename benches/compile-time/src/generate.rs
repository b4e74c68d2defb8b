//! Writes the crates.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::variant::{Derive, Variant};

/// Writes every crate into a folder of its own and returns what there is.
///
/// Each crate is its own workspace, so that one which cannot be resolved does
/// not take the others with it.
pub fn write(folder: &Path, args: &Args) -> Result<Vec<Variant>> {
    let mut variants = Vec::new();
    for structs in [args.structs, args.structs / 10] {
        for derive in Derive::ALL {
            let variant = Variant { derive, structs };
            let dir = folder.join(variant.package());
            fs::create_dir_all(dir.join("src"))?;
            fs::write(dir.join("Cargo.toml"), manifest(variant, args)?)?;
            fs::write(dir.join("src/lib.rs"), source(variant))?;
            variants.push(variant);
        }
    }
    Ok(variants)
}

fn manifest(variant: Variant, args: &Args) -> Result<String> {
    let dependency = match variant.derive {
        Derive::Nothing => String::new(),
        Derive::Serialize => "serde = { version = \"1\", features = [\"derive\"] }".into(),
        Derive::Session => {
            let path = args
                .sessions
                .canonicalize()
                .with_context(|| format!("there is no {}", args.sessions.display()))?;
            format!("sessions = {{ package = \"typed-sessions\", path = {path:?} }}")
        }
    };
    Ok(format!(
        "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{dependency}\n",
        variant.package()
    ))
}

fn source(variant: Variant) -> String {
    // The same struct everywhere; only the attributes differ.
    let (attributes, flash) = match variant.derive {
        Derive::Nothing => ("", ""),
        Derive::Serialize => ("#[derive(serde::Serialize)]\n", ""),
        Derive::Session => ("#[derive(sessions::Session)]\n", "    #[flash]\n"),
    };
    let mut text = String::new();
    for n in 0..variant.structs {
        write!(
            text,
            "{attributes}pub struct Data{n:03} {{\n\
             \x20   pub visits: u32,\n\
             \x20   pub name: String,\n\
             \x20   pub email: Option<String>,\n\
             \x20   pub admin: bool,\n\
             \x20   pub user_id: u64,\n\
             \x20   pub basket: Vec<String>,\n\
             {flash}\
             \x20   pub notice: Option<String>,\n\
             \x20   pub balance: i64,\n\
             \x20   pub rating: f64,\n\
             \x20   pub theme: Option<u32>,\n\
             }}\n\n"
        )
        .expect("writing to a string cannot fail");
    }
    text
}
