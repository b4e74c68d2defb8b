//! Measures what deriving `Session` adds to the build of a crate.

mod args;
mod build;
mod generate;
mod report;
mod variant;

use anyhow::Result;

fn main() -> Result<()> {
    let Some(args) = args::parse()? else {
        println!("{}", args::HELP);
        return Ok(());
    };
    let folder = tempfile::Builder::new().prefix("compile-time-").tempdir_in(args::base_folder())?;
    let variants = generate::write(folder.path(), &args)?;
    let results = build::measure(folder.path(), &variants, &args)?;
    let table = report::markdown(&args, &results);
    println!("{table}");
    if let Some(path) = &args.markdown {
        std::fs::write(path, table)?;
    }
    Ok(())
}
