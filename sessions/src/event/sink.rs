//! The ways of a layer's events: `tracing`, and the hook of the application.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(feature = "tracing")]
use super::EventLevel;
use super::{Event, throttle::Throttle};
use crate::{
    error::{Error, ErrorKind},
    value::RecordId,
};

type EventHook = dyn Fn(&Event<'_>) + Send + Sync;

/// The sinks of a layer's events.
#[derive(Clone, Default)]
pub(crate) struct Events {
    hook: Option<Arc<EventHook>>,
    throttle: Arc<Throttle>,
}

impl Events {
    /// Adds a hook.
    pub(crate) fn with_hook(self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self { hook: Some(Arc::new(hook)), ..self }
    }

    /// Sets the interval in which one of several like events is reported.
    pub(crate) fn with_interval(self, interval: Duration) -> Self {
        Self { throttle: Arc::new(Throttle::new(interval)), ..self }
    }

    /// Reports why a commit did not go through.
    pub(crate) fn report_failure(&self, record: Option<RecordId>, error: &Error) {
        self.report(&match record {
            Some(record) if error.kind() == ErrorKind::Conflict => Event::Conflict { record, error },
            _ if error.kind() == ErrorKind::SessionLimit => Event::SessionLimit { record, error },
            _ => Event::CommitFailed { record, error },
        });
    }

    pub(crate) fn report(&self, event: &Event<'_>) {
        self.report_at(event, Instant::now);
    }

    fn report_at(&self, event: &Event<'_>, now: impl FnOnce() -> Instant) {
        let Some(key) = event.key() else { return self.send(event) };
        let passed = self.throttle.count(key, event.level(), now());
        for repeated in &passed.repeated {
            self.send(repeated);
        }
        if passed.is_reported {
            self.send(event);
        }
    }

    /// Reports the events that were held back and not counted yet.
    pub(crate) fn flush(&self) {
        for repeated in self.throttle.take_all() {
            self.send(&repeated);
        }
    }

    /// A hook or a subscriber that panics changes nothing of the request that the event is about.
    fn send(&self, event: &Event<'_>) {
        let _ = catch_unwind(AssertUnwindSafe(|| trace(event)));
        let Some(hook) = &self.hook else { return };
        if catch_unwind(AssertUnwindSafe(|| hook(event))).is_err() {
            let _ = catch_unwind(trace_panic);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.hook.is_some() { "Events(tracing, hook)" } else { "Events(tracing)" })
    }
}

#[cfg(feature = "tracing")]
fn trace(event: &Event<'_>) {
    struct Message<'a>(&'a Event<'a>);

    impl fmt::Display for Message<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.write_message(f)
        }
    }

    macro_rules! at {
        ($level:ident) => {
            tracing::event!(
                tracing::Level::$level,
                event = event.name(),
                record = event.record().map(tracing::field::display),
                source = event.error().and_then(std::error::Error::source).map(tracing::field::display),
                "{}",
                Message(event)
            )
        };
    }

    match event.level() {
        EventLevel::Debug => at!(DEBUG),
        EventLevel::Info => at!(INFO),
        EventLevel::Warn => at!(WARN),
        EventLevel::Error => at!(ERROR),
    }
}

#[cfg(not(feature = "tracing"))]
fn trace(_event: &Event<'_>) {}

#[cfg(feature = "tracing")]
fn trace_panic() {
    tracing::error!("the event hook of the session layer panicked; the event is lost to it");
}

#[cfg(not(feature = "tracing"))]
fn trace_panic() {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{event::RotationCause, value::FieldName};

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    /// Events whose lines end in the returned list.
    fn heard() -> (Events, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&lines);
        let events = Events::default().with_hook(move |event| noted.lock().unwrap().push(event.to_string()));
        (events, lines)
    }

    #[test]
    fn a_flood_of_one_event_is_two_lines_a_second() {
        let (events, lines) = heard();
        let began = Instant::now();
        for milli in 0..2500 {
            let now = began + Duration::from_millis(milli);
            events.report_at(&Event::Stale { record: id(1) }, || now);
        }
        events.flush();
        let stale = format!("session token replaced long ago (record {})", id(1));
        let more = |times| format!("{times} more events `Stale` were held back (record {})", id(1));
        let expected = [&stale, &more(999), &stale, &more(999), &stale, &more(499)];
        assert_eq!(*lines.lock().unwrap(), expected.map(String::from));
    }

    #[test]
    fn another_record_field_or_name_is_another_event() {
        let (events, lines) = heard();
        let now = Instant::now();
        let undecodable = |field: &'static str| {
            let field = FieldName::from_static(field);
            let event = Event::UndecodableField { record: Some(id(1)), field: &field, reason: "cut off" };
            events.report_at(&event, || now);
        };
        for _ in 0..3 {
            events.report_at(&Event::Stale { record: id(1) }, || now);
            events.report_at(&Event::Stale { record: id(2) }, || now);
            events.report_at(&Event::Forged { record: id(1) }, || now);
            undecodable("a");
            undecodable("b");
            for fields in [&["a"][..], &["a", "b"]] {
                let fields = fields.iter().map(|field| FieldName::from_static(field)).collect();
                events.report_at(&Event::UnsavedChanges { record: Some(id(1)), fields }, || now);
            }
        }
        assert_eq!(lines.lock().unwrap().len(), 7);
    }

    #[test]
    fn steps_of_a_sessions_life_are_never_held_back() {
        let (events, lines) = heard();
        let (now, record) = (Instant::now(), id(1));
        for _ in 0..100 {
            events.report_at(&Event::Created { record, is_login: true }, || now);
            events.report_at(&Event::Rotated { record, cause: RotationCause::Logout }, || now);
            events.report_at(&Event::Renewed { record }, || now);
            events.report_at(&Event::Destroyed { record }, || now);
        }
        assert_eq!(lines.lock().unwrap().len(), 400);
    }

    #[test]
    fn a_hook_that_panics_is_called_again_and_stops_nothing() {
        let calls = Arc::<Mutex<u32>>::default();
        let counted = Arc::clone(&calls);
        let events = Events::default().with_hook(move |_| {
            *counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
            panic!("a hook that panics");
        });
        events.report(&Event::Destroyed { record: id(1) });
        events.report(&Event::Destroyed { record: id(1) });
        assert_eq!(*calls.lock().unwrap(), 2);
    }
}
