//! The data of one session: a counter and up to twenty text fields of forty bytes.

use std::sync::atomic::{AtomicU64, Ordering};

const FIELDS: [&str; 20] = [
    "field_00", "field_01", "field_02", "field_03", "field_04", "field_05", "field_06", "field_07",
    "field_08", "field_09", "field_10", "field_11", "field_12", "field_13", "field_14", "field_15",
    "field_16", "field_17", "field_18", "field_19",
];

/// How many fields `/read-4` reads: the first ones.
pub const FEW: usize = 4;

/// Index of the field that the workloads read and write.
pub const HOT: usize = 3;

/// Its name.
pub const HOT_FIELD: &str = FIELDS[HOT];

pub const COUNTER: &str = "counter";

/// What `/fill` stores as the counter.
pub const COUNTER_START: u64 = 7;

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A value of forty bytes that was not given out before.
pub fn next_value() -> String {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{serial:0>40}")
}

/// The names of a session's `count` text fields.
pub fn fields(count: usize) -> &'static [&'static str] {
    &FIELDS[..count]
}

/// Values for all fields of one session.
pub fn next_values(count: usize) -> Vec<String> {
    (0..count).map(|_| next_value()).collect()
}

/// The text by which `/fill` and `/check` tell what a session holds.
pub fn summary(values: &[String], counter: u64) -> String {
    format!("{}\n{counter}", values.join("\n"))
}
