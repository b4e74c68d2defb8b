//! Holds back events that repeat, so that no client fills the log.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Event, EventLevel};
use crate::value::RecordId;

/// The time for which one event holds back others of its key, unless the layer sets another.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The number of keys that are told apart at a time. Events of further keys count by their name.
const KEYS: usize = 64;

/// The properties in which two events agree if one of them is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventKey {
    pub(super) name: &'static str,
    pub(super) record: Option<RecordId>,
    /// A hash of further properties, such as the field.
    pub(super) detail: u64,
}

/// Lets one event of a key through in an interval, and counts the others.
///
/// It is locked by the standard library's lock, also in the models: nothing waits while it is held.
#[derive(Debug)]
pub(super) struct Throttle {
    interval: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    by_key: Vec<Entry>,
    /// One per name at most.
    by_name: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: EventKey,
    level: EventLevel,
    since: Instant,
    held_back: u64,
}

/// The decision on an event.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) is_reported: bool,
    /// The counts of earlier events, to be reported first.
    pub(super) repeated: Vec<Event<'static>>,
}

impl Throttle {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, seen: Mutex::default() }
    }

    /// Counts an event.
    pub(super) fn count(&self, key: EventKey, level: EventLevel, now: Instant) -> Passed {
        let mut seen = self.lock();
        let Seen { by_key, by_name } = &mut *seen;
        let mut repeated = Vec::new();
        for entries in [&mut *by_key, by_name] {
            let is_over = |entry: &mut Entry| now.saturating_duration_since(entry.since) >= self.interval;
            repeated.extend(entries.extract_if(.., is_over).filter_map(|entry| entry.repeated()));
        }
        let is_told_apart = by_key.len() < KEYS || by_key.iter().any(|entry| entry.key == key);
        let is_reported = if is_told_apart {
            is_first(by_key, key, level, now)
        } else {
            is_first(by_name, EventKey { record: None, detail: 0, ..key }, level, now)
        };
        Passed { is_reported, repeated }
    }

    /// Returns the counts of all events that were held back until now.
    pub(super) fn take_all(&self) -> Vec<Event<'static>> {
        let Seen { by_key, by_name } = mem::take(&mut *self.lock());
        by_key.into_iter().chain(by_name).filter_map(|entry| entry.repeated()).collect()
    }

    /// Locks the counts, which a panic elsewhere leaves whole.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(DEFAULT_INTERVAL)
    }
}

/// Returns true if the event is the first of its key; otherwise counts it.
fn is_first(entries: &mut Vec<Entry>, key: EventKey, level: EventLevel, now: Instant) -> bool {
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == key) {
        entry.held_back += 1;
        return false;
    }
    entries.push(Entry { key, level, since: now, held_back: 0 });
    true
}

impl Entry {
    fn repeated(&self) -> Option<Event<'static>> {
        let Self { key: EventKey { name, record, .. }, level, held_back: times, .. } = *self;
        (times > 0).then_some(Event::Repeated { of: name, level, record, times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> EventKey {
        EventKey { name: "Stale", record: Some(RecordId::from_bytes([byte; 16])), detail: 0 }
    }

    #[test]
    fn an_event_is_held_back_for_a_second() {
        let (throttle, began) = (Throttle::default(), Instant::now());
        let count = |millis| throttle.count(key(1), EventLevel::Warn, began + Duration::from_millis(millis));
        assert!(count(0).is_reported);
        assert!(!count(1).is_reported && !count(999).is_reported);
        let passed = count(1000);
        assert!(passed.is_reported);
        assert!(matches!(passed.repeated[..], [Event::Repeated { of: "Stale", times: 2, .. }]));
        assert!(count(2000).repeated.is_empty());
    }

    #[test]
    fn more_records_than_are_told_apart_count_by_their_name() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let key = |byte: u8| EventKey { detail: byte.into(), ..key(byte) };
        let reported = (0..200).filter(|byte| throttle.count(key(*byte), EventLevel::Warn, now).is_reported);
        assert_eq!(reported.count(), KEYS + 1);
        let held_back = throttle.take_all();
        assert!(matches!(held_back[..], [Event::Repeated { of: "Stale", record: None, times: 135, .. }]));
        assert!(throttle.take_all().is_empty());
    }

    #[test]
    fn what_was_held_back_is_counted_with_the_next_event_of_any_name() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        throttle.count(key(1), EventLevel::Warn, now);
        throttle.count(key(1), EventLevel::Warn, now);
        let other = EventKey { name: "Forged", ..key(2) };
        let passed = throttle.count(other, EventLevel::Warn, now + DEFAULT_INTERVAL);
        assert!(matches!(passed.repeated[..], [Event::Repeated { of: "Stale", times: 1, .. }]));
    }
}
