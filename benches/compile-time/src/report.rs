//! The results as Markdown.

use std::fmt::{Result, Write};
use std::time::Duration;

use crate::args::Args;
use crate::build::{Outcome, Time};
use crate::variant::{Derive, Variant};

pub fn markdown(args: &Args, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    write(&mut text, args, outcomes).expect("writing to a string cannot fail");
    text
}

fn write(text: &mut String, args: &Args, outcomes: &[Outcome]) -> Result {
    writeln!(
        text,
        "`cargo {}`, debug, {}, median of {} rounds; structs of 10 fields.\n",
        if args.check { "check" } else { "build" },
        if args.incremental { "incremental" } else { "not incremental" },
        args.rounds,
    )?;
    writeln!(text, "| structs | derive | wall, s | user CPU, s |")?;
    writeln!(text, "|---:|---|---:|---:|")?;
    for outcome in outcomes {
        let Variant { derive, structs } = outcome.variant;
        write!(text, "| {structs} | {} ", derive.name())?;
        match median(outcome) {
            Some(time) => writeln!(text, "| {} | {} |", seconds(time.wall), seconds(time.user))?,
            None => writeln!(text, "| does not build | |")?,
        }
    }
    writeln!(text, "\n| added by | wall, s | user CPU, s |")?;
    writeln!(text, "|---|---:|---:|")?;
    for structs in [args.structs, args.structs / 10] {
        let find = |derive| {
            let variant = Variant { derive, structs };
            let outcome = outcomes.iter().find(|o| o.variant == variant)?;
            median(outcome)
        };
        let (plain, serde, ours) = (find(Derive::Nothing), find(Derive::Serialize), find(Derive::Session));
        row(text, &format!("{structs} × `Serialize`"), serde, plain)?;
        row(text, &format!("{structs} × `Session`"), ours, plain)?;
        if let (Some(plain), Some(serde), Some(ours)) = (plain, serde, ours) {
            let ratio = |time: fn(Time) -> Duration| {
                let of = |derived| time(derived).as_secs_f64() - time(plain).as_secs_f64();
                of(ours) / of(serde)
            };
            writeln!(
                text,
                "| {structs}: `Session` as a multiple of `Serialize` | {:.1} | {:.1} |",
                ratio(|time| time.wall),
                ratio(|time| time.user)
            )?;
        }
    }
    for outcome in outcomes {
        if let Err(error) = &outcome.times {
            let output = format!("{error:#}");
            // Warnings before the first error and all that follows it are of
            // no use here.
            let lines: Vec<_> =
                output.lines().skip_while(|line| !line.starts_with("error")).take(12).collect();
            let shown = lines.join("\n");
            let package = outcome.variant.package();
            writeln!(text, "\n{package} does not build:\n\n```text\n{shown}\n```")?;
        }
    }
    Ok(())
}

fn row(text: &mut String, name: &str, derived: Option<Time>, plain: Option<Time>) -> Result {
    let (Some(derived), Some(plain)) = (derived, plain) else {
        return writeln!(text, "| {name} | – | – |");
    };
    let difference = |time: fn(Time) -> Duration| {
        // Noise can make the difference of small crates negative.
        time(derived).as_secs_f64() - time(plain).as_secs_f64()
    };
    writeln!(text, "| {name} | {:.3} | {:.3} |", difference(|time| time.wall), difference(|time| time.user))
}

fn median(outcome: &Outcome) -> Option<Time> {
    let times = outcome.times.as_ref().ok()?;
    let middle = |time: fn(&Time) -> Duration| {
        let mut values: Vec<_> = times.iter().map(time).collect();
        values.sort();
        values[values.len() / 2]
    };
    Some(Time { wall: middle(|time| time.wall), user: middle(|time| time.user) })
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}
