//! Where a layer's events go: `tracing`, inside of the request's span, and a hook beside it.

use std::{
    fmt::{self, Write},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request, routing::get};
use sessions::{
    Event, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Client, FaultStore, Operation},
};
use tracing::{
    Dispatch, Instrument, Metadata, Subscriber,
    field::{Field, Visit},
    info_span,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_core::span::Current;

use super::{Account, User};

/// A subscriber that notes each event of the library, with the name of the span that it happened in.
#[derive(Clone, Default)]
struct Log(Arc<Notes>);

#[derive(Default)]
struct Notes {
    spans: Mutex<Vec<&'static Metadata<'static>>>,
    entered: Mutex<Vec<u64>>,
    lines: Mutex<Vec<String>>,
    next: AtomicU64,
}

impl Log {
    /// Hears what this thread reports. Two more are kept for ever: while a program has had one subscriber only, an
    /// event that another thread reports first is taken for one that nobody hears.
    fn listen() -> (Self, DefaultGuard) {
        static KEPT: LazyLock<[Dispatch; 2]> =
            LazyLock::new(|| [Dispatch::new(Log::default()), Dispatch::new(Log::default())]);
        LazyLock::force(&KEPT);
        let log = Self::default();
        (log.clone(), tracing::subscriber::set_default(log))
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lines.lock().expect("no panic"))
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() || metadata.target().starts_with("sessions")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.spans.lock().expect("no panic").push(span.metadata());
        Id::from_u64(self.0.next.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        let span = self.current_span().metadata().map_or("-", Metadata::name);
        self.0.lines.lock().expect("no panic").push(format!("{span}: {}", line.0));
    }

    fn enter(&self, id: &Id) {
        self.0.entered.lock().expect("no panic").push(id.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.0.entered.lock().expect("no panic").pop();
    }

    fn current_span(&self) -> Current {
        let Some(id) = self.0.entered.lock().expect("no panic").last().copied() else {
            return Current::none();
        };
        let index = usize::try_from(id).expect("few spans") - 1;
        Current::new(Id::from_u64(id), self.0.spans.lock().expect("no panic")[index])
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "message" | "event") {
            let _ = write!(self.0, "[{value:?}]");
        }
    }
}

async fn save(mut session: TypedSession<Account>) -> String {
    session.set_name("Ada");
    session.save().await.map_or_else(|error| error.to_string(), |()| "saved".into())
}

/// A store that answers later than at once has the save go on in a task of its own.
#[tokio::test]
async fn a_save_is_reported_inside_of_the_requests_span() {
    let (log, _guard) = Log::listen();
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let app = Router::new().route("/save", get(save)).layer(SessionLayer::new(store)).layer(
        axum::middleware::from_fn(|request: Request, next: axum::middleware::Next| {
            next.run(request).instrument(info_span!("request"))
        }),
    );
    let browser = Client::new(app);
    let gate = faults.hold(Operation::Create);
    let (answer, ()) = tokio::join!(browser.get("/save"), async {
        gate.arrived().await;
        gate.release();
    });
    assert_eq!(answer.text(), "saved");
    assert_eq!(log.lines(), [r#"request: DEBUG [session created]["Created"]"#]);

    let gate = faults.hold_and_fail(Operation::Create);
    let stranger = browser.stranger();
    let (_, ()) = tokio::join!(stranger.get("/save"), async {
        gate.arrived().await;
        gate.release();
    });
    let lines = log.lines();
    assert!(lines[0].starts_with("request: ERROR [session commit failed"), "{lines:?}");
}

/// A login and a logout are seen at the level at which logs are kept, and a hook takes nothing from `tracing`.
#[tokio::test]
async fn logins_and_logouts_are_told_at_info_beside_a_hook() {
    let (log, _guard) = Log::listen();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&heard);
    let log_in = async |mut session: TypedSession<User>| session.set_id(7);
    let log_out = async |mut session: TypedSession<User>| session.remove_id();
    let layer = SessionLayer::new(MemoryStore::new())
        .with_event_hook(move |event| noted.lock().expect("no panic").push(event.name().to_owned()));
    let browser =
        Client::new(Router::new().route("/in", get(log_in)).route("/out", get(log_out)).layer(layer));
    for path in ["/in", "/out", "/in"] {
        assert_eq!(browser.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(
        log.lines(),
        [
            r#"-: INFO [session created by a login]["Created"]"#,
            r#"-: INFO [session rotated by a logout]["Rotated"]"#,
            r#"-: INFO [session rotated by a login]["Rotated"]"#,
        ],
    );
    assert_eq!(*heard.lock().expect("no panic"), ["Created", "Rotated", "Rotated"]);
}

/// A browser that comes a thousand times while the store is away writes two lines, and a metric still counts all.
#[tokio::test]
async fn a_flood_of_failures_is_one_event_and_a_count() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&heard);
    let layer =
        SessionLayer::new(store).with_event_interval(Duration::from_hours(1)).with_event_hook(move |event| {
            let line = match event {
                Event::Repeated { of, times, record, .. } => format!("{of} {times} {}", record.is_some()),
                event => event.name().to_owned(),
            };
            noted.lock().expect("no panic").push(line);
        });
    let browser = Client::new(Router::new().route("/save", get(save)).layer(layer.clone()));
    browser.get("/save").await;
    faults.fail(Operation::Load, 1000);
    for _ in 0..1000 {
        assert_eq!(browser.get("/save").await.status(), 503);
    }
    layer.drain().await;
    assert_eq!(*heard.lock().expect("no panic"), ["Created", "LoadFailed", "LoadFailed 999 true"]);
}

/// A layer that is missing is for the log, with what to do, and not for the visitor.
#[tokio::test]
async fn a_missing_layer_is_told_to_the_log() {
    let (log, _guard) = Log::listen();
    let browser = Client::new(Router::new().route("/forgotten", get(save)));
    for _ in 0..2 {
        let response = browser.get("/forgotten?token=7").await;
        assert_eq!(
            (response.status().as_u16(), response.text()),
            (500, "The session could not be read or stored.")
        );
    }
    let lines = log.lines();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert!(line.contains("ERROR") && line.contains("`GET /forgotten`"), "{line}");
    assert!(line.contains("`.layer(SessionLayer::new(store))`") && !line.contains("token"), "{line}");
}

/// Without the care taken for it, the login would be answered with 503, and its record would be nobody's.
#[tokio::test]
async fn a_hook_that_panics_changes_no_outcome() {
    let log_in = async |mut session: TypedSession<User>| session.set_id(7);
    let who = async |session: TypedSession<User>| format!("{:?}", session.id());
    let layer = SessionLayer::new(MemoryStore::new()).with_event_hook(|_| panic!("a hook that panics"));
    let browser = Client::new(Router::new().route("/in", get(log_in)).route("/who", get(who)).layer(layer));
    let response = browser.get("/in").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(browser.get("/who").await.text(), "Some(7)");
}
