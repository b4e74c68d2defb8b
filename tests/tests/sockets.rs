//! What goes on beside a response and after it: futures that are kept or dropped, sockets, their ends.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use http_body::Frame;
use sessions::{
    Error, Session, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Call, Client, FaultStore, Faults, Gate, Operation, Recording, RecordingStore},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
    time::Instant,
};

#[derive(Session)]
struct Page {
    name: Option<String>,
    #[session(identity)]
    user: Option<u64>,
}

/// A browser of an application, with a session; its store's faults and calls, and its layer's events.
struct Site {
    browser: Client,
    layer: SessionLayer,
    faults: Faults,
    calls: Recording,
    /// Another instance of the application.
    elsewhere: Client,
    events: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn new(routes: Router, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        let memory = Arc::new(MemoryStore::new());
        let store = RecordingStore::new(Arc::clone(&memory));
        let calls = store.recording();
        let store = FaultStore::new(store);
        let faults = store.faults();
        let events = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&events);
        let layer = configure(SessionLayer::new(store)).with_event_interval(Duration::ZERO);
        let layer = layer.with_event_hook(move |event| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}"));
        });
        let begin = get(async |mut page: TypedSession<Page>| {
            page.set_user(7);
            page.set_name("Ada");
        });
        let name = get(async |page: TypedSession<Page>| page.name().unwrap_or("-").to_owned());
        let routes = routes.route("/begin", begin).route("/name", name);
        let leave = get(async |page: TypedSession<Page>| page.destroy());
        let log_out = get(async |mut page: TypedSession<Page>| page.remove_user());
        let routes = routes.route("/end", leave).route("/log-out", log_out);
        let elsewhere = Client::new(routes.clone().layer(SessionLayer::new(memory)));
        let browser = Client::new(routes.layer(layer.clone()));
        let elsewhere = browser.at(&elsewhere);
        assert_eq!(browser.get("/begin").await.status(), 200);
        assert_eq!(browser.get("/name").await.text(), "Ada");
        let site = Self { browser, layer, faults, calls, elsewhere, events };
        site.events();
        site
    }

    /// The events since the last time.
    fn events(&self) -> Vec<String> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn name(&self) -> String {
        self.browser.get("/name").await.text().to_owned()
    }
}

/// A logout whose response is dropped where there is no runtime happens all the same.
#[test]
fn a_logout_that_is_dropped_outside_of_the_runtime_is_carried_out() {
    let gate = Gate::new();
    let waits = gate.clone();
    let leave = get(async move |page: TypedSession<Page>| {
        page.destroy();
        waits.pass().await;
    });
    let runtime = runtime();
    let site = runtime.block_on(Site::new(Router::new().route("/leave", leave), |layer| layer));
    let mut leaving = Box::pin(site.browser.get("/leave"));
    runtime.block_on(async {
        begin(leaving.as_mut()).await;
        gate.arrived().await;
    });
    drop(leaving);
    runtime.block_on(site.layer.drain());
    assert_eq!(runtime.block_on(site.name()), "-");
    assert!(site.events().iter().any(|event| event.contains("Destroyed")));
}

/// If the runtime is gone, an event says so.
#[test]
fn a_logout_that_no_runtime_can_carry_out_is_told() {
    let leave = get(async |page: TypedSession<Page>| page.destroy());
    let runtime = runtime();
    let site = runtime.block_on(Site::new(Router::new().route("/leave", leave), |layer| layer));
    site.faults.stall(Operation::Destroy);
    let mut leaving = Box::pin(site.browser.get("/leave"));
    runtime.block_on(begin(leaving.as_mut()));
    drop(leaving);
    assert_eq!(site.events(), [""; 0]);
    drop(runtime);
    let events = site.events();
    assert!(matches!(&events[..], [event] if event.contains("CommitFailed")), "{events:?}");
}

/// A site whose `/visit` begins a session without a user, and whose `/lend` sends its handle to the test.
async fn lending() -> (Site, UnboundedReceiver<TypedSession<Page>>) {
    let (lend, borrowed) = unbounded_channel();
    let visit = get(async |mut page: TypedSession<Page>| page.set_name("Bea"));
    let lend = get(async move |page: TypedSession<Page>| lend.send(page).is_ok().to_string());
    let routes = Router::new().route("/visit", visit).route("/lend", lend);
    (Site::new(routes, |layer| layer).await, borrowed)
}

/// An end after the response needs no `save`, of a user's session and of a visitor's.
#[tokio::test]
async fn a_logout_after_the_response_ends_the_session() {
    for begin in ["/begin", "/visit"] {
        let (site, mut borrowed) = lending().await;
        let browser = site.browser.stranger();
        browser.get(begin).await;
        assert_eq!(browser.get("/lend").await.text(), "true", "{begin}");
        borrowed.try_recv().expect("a handle").destroy();
        site.layer.drain().await;
        assert_eq!(browser.get("/name").await.text(), "-", "{begin}");
    }
}

/// A `clear` after the response that no handler saved changes nothing in a visitor's session, and is reported.
#[tokio::test]
async fn a_forgotten_clear_after_the_response_is_reported() {
    let (site, mut borrowed) = lending().await;
    let browser = site.browser.stranger();
    browser.get("/visit").await;
    browser.get("/lend").await;
    site.events();
    borrowed.try_recv().expect("a handle").clear();
    let events = site.events();
    assert!(matches!(&events[..], [event] if event.contains("UnsavedChanges")), "{events:?}");
    assert_eq!(browser.get("/name").await.text(), "Bea");
}

/// A handle that a body holds saves while the body is sent.
#[tokio::test]
async fn a_streams_handle_saves_while_the_body_is_sent() {
    type Work = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

    struct Stream(Option<Work>);

    impl http_body::Body for Stream {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let Some(work) = &mut self.0 else { return Poll::Ready(None) };
            let output = ready!(work.as_mut().poll(context));
            self.0 = None;
            Poll::Ready(Some(output.map(Frame::data)))
        }
    }

    let gate = Gate::new();
    let inside = gate.clone();
    let stream = get(async move |mut page: TypedSession<Page>| {
        Body::new(Stream(Some(Box::pin(async move {
            inside.pass().await;
            page.set_name("Bea");
            page.save().await?;
            Ok(Bytes::from(page.name().unwrap_or("-").to_owned()))
        }))))
    });
    let site = Site::new(Router::new().route("/stream", stream), |layer| layer).await;
    let tab = site.browser.fork();
    let streaming = tokio::spawn(async move { tab.get("/stream").await.text().to_owned() });
    gate.arrived().await;
    assert_eq!(site.name().await, "Ada");
    gate.release();
    assert_eq!(streaming.await.expect("a body"), "Bea");
    assert_eq!(site.name().await, "Bea");
}

/// A socket that panics loses what it did not save, and an event names the fields.
#[tokio::test]
async fn a_socket_that_panics_tells_what_is_lost() {
    let gate = Gate::new();
    let waits = gate.clone();
    let task = Arc::<Mutex<Option<JoinHandle<()>>>>::default();
    let keeps = Arc::clone(&task);
    let open = get(async move |mut page: TypedSession<Page>| {
        let task = tokio::spawn(async move {
            waits.pass().await;
            page.set_name("Bea");
            page.save().await.expect("a save");
            page.set_name("Cay");
            panic!("as the test wants it");
        });
        *keeps.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    });
    let site = Site::new(Router::new().route("/open", open), |layer| layer).await;
    site.browser.get("/open").await;
    gate.arrived().await;
    gate.release();
    let task = task.lock().unwrap_or_else(PoisonError::into_inner).take().expect("a socket");
    assert!(task.await.is_err_and(|error| error.is_panic()));
    let told = site.events();
    assert!(
        matches!(&told[..], [event] if event.contains("UnsavedChanges") && event.contains("name")),
        "{told:?}"
    );
    assert_eq!(site.name().await, "Bea");
}

const WITHIN: Duration = Duration::from_secs(30);

/// A site whose `/listen` opens a socket that passes the gate when the session is over.
async fn listening() -> (Site, Gate) {
    let gate = Gate::new();
    let told = gate.clone();
    let listen = get(async move |page: TypedSession<Page>| {
        tokio::spawn(async move {
            page.ended().await;
            told.pass().await;
        });
    });
    let routes = Router::new().route("/listen", listen);
    (Site::new(routes, |layer| layer.with_ended_within(WITHIN).with_store_timeout(WITHIN * 100)).await, gate)
}

/// An end that comes through the layer is told at once, to all who wait.
#[tokio::test(start_paused = true)]
async fn an_end_in_this_process_is_told_at_once() {
    for path in ["/end", "/log-out"] {
        let (site, gate) = listening().await;
        for _ in 0..3 {
            site.browser.get("/listen").await;
        }
        tokio::time::sleep(WITHIN * 3).await;
        let began = Instant::now();
        site.browser.get(path).await;
        for _ in 0..3 {
            gate.arrived().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "{path}");
    }
}

/// An end elsewhere is told within the bound, whenever it comes, and so is one of which the store says nothing.
#[tokio::test(start_paused = true)]
async fn an_end_elsewhere_is_told_within_the_bound() {
    for (tenths, path) in (0..30).zip(["/end", "/log-out"].into_iter().cycle()) {
        let (site, gate) = listening().await;
        site.browser.get("/listen").await;
        tokio::time::sleep(WITHIN + WITHIN * tenths / 30).await;
        let began = Instant::now();
        // The next answer is lost.
        site.faults.fail(Operation::Load, 1);
        site.elsewhere.get(path).await;
        gate.arrived().await;
        assert!(began.elapsed() <= WITHIN, "{path}: {:?}", began.elapsed());
    }
    let fails: [fn(&Faults); 2] =
        [|faults| faults.fail(Operation::Load, 1000), |faults| faults.stall(Operation::Load)];
    for fails in fails {
        let (site, gate) = listening().await;
        site.browser.get("/listen").await;
        tokio::time::sleep(WITHIN).await;
        let began = Instant::now();
        fails(&site.faults);
        gate.arrived().await;
        assert!(WITHIN / 2 <= began.elapsed() && began.elapsed() <= WITHIN, "{:?}", began.elapsed());
    }
}

/// However many sockets of one session wait, the store is asked three times in the bound, and for no fields; and
/// no more when they are gone.
#[tokio::test(start_paused = true)]
async fn one_watcher_asks_for_a_session() {
    let (site, gate) = listening().await;
    for _ in 0..300 {
        site.browser.get("/listen").await;
    }
    site.calls.clear();
    tokio::time::sleep(WITHIN * 10 + WITHIN / 6).await;
    let calls = site.calls.take();
    assert_eq!(calls.len(), 31, "{calls:?}");
    assert!(
        calls.iter().all(|call| matches!(call, Call::Load { names, .. } if names.is_empty())),
        "{calls:?}"
    );
    site.browser.get("/end").await;
    for _ in 0..300 {
        gate.arrived().await;
        gate.release();
    }
    tokio::time::sleep(WITHIN).await;
    site.calls.clear();
    tokio::time::sleep(WITHIN * 10).await;
    assert_eq!(site.calls.take(), []);
}

/// The request's own rotation is no end; another's is, also when the handle is gone.
#[tokio::test(start_paused = true)]
async fn a_rotation_of_the_request_itself_is_no_end() {
    for keeps_handle in [true, false] {
        let gate = Gate::new();
        let told = gate.clone();
        let open = get(async move |page: TypedSession<Page>| {
            let mut ended = Box::pin(page.ended());
            begin(ended.as_mut()).await;
            page.rotate();
            page.save().await.expect("a rotation");
            tokio::spawn(async move {
                let page = keeps_handle.then_some(page);
                ended.await;
                drop(page);
                told.pass().await;
            });
        });
        let site = Site::new(Router::new().route("/open", open), |layer| layer).await;
        site.browser.get("/open").await;
        tokio::time::sleep(WITHIN * 3).await;
        assert!(tokio::time::timeout(Duration::ZERO, gate.arrived()).await.is_err());
        site.browser.get("/log-out").await;
        gate.arrived().await;
    }
}

/// A session that has no record begins to be watched when it gets one.
#[tokio::test(start_paused = true)]
async fn a_session_that_begins_later_is_watched_then() {
    let gate = Gate::new();
    let told = gate.clone();
    let open = get(async move |mut page: TypedSession<Page>| {
        let mut ended = Box::pin(page.ended());
        begin(ended.as_mut()).await;
        page.set_name("Bea");
        tokio::spawn(async move {
            ended.await;
            told.pass().await;
        });
    });
    let site = Site::new(Router::new().route("/open", open), |layer| layer).await;
    let browser = site.browser.stranger();
    browser.get("/open").await;
    tokio::time::sleep(WITHIN * 3).await;
    assert!(tokio::time::timeout(Duration::ZERO, gate.arrived()).await.is_err());
    browser.at(&site.elsewhere).get("/end").await;
    gate.arrived().await;
}

/// Of a thousand clients that go away at once, so many commits go on, and the others are told; but every logout
/// is carried out, and a request that comes meanwhile is served.
#[tokio::test(start_paused = true)]
async fn commits_of_clients_that_went_away_are_bounded() {
    let change = get(async |mut page: TypedSession<Page>, uri: axum::http::Uri| {
        page.set_name(uri.query().unwrap_or_default());
    });
    let save = get(async |mut page: TypedSession<Page>, uri: axum::http::Uri| {
        page.set_name(uri.query().unwrap_or_default());
        page.save().await.map_err(|error| error.to_string())
    });
    let routes = Router::new().route("/change", change).route("/save", save);
    let site = Site::new(routes, |layer| layer).await;
    let mut held = Vec::new();
    for number in 0..1000 {
        let path = format!("{}?{number}", if number % 2 == 0 { "/change" } else { "/save" });
        let gate = site.faults.hold(Operation::Commit);
        give_up(&site.browser, path, &gate).await;
        held.push(gate);
    }
    let mut events = site.events();
    let leaving = site.browser.clone_jar();
    let gate = site.faults.hold(Operation::Destroy);
    give_up(&leaving, "/end".to_owned(), &gate).await;
    gate.release();
    for gate in held {
        gate.release();
    }
    site.layer.drain().await;
    events.extend(site.events());
    let stopped = events.iter().filter(|event| event.contains("CommitFailed")).count();
    assert_eq!(stopped, 1000 - 256, "each is told once");
    assert_eq!(site.name().await, "-");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Sends a request, and goes away when it has come to the gate.
async fn give_up(browser: &Client, path: String, gate: &Gate) {
    let tab = browser.fork();
    let request = tokio::spawn(async move { tab.get(&path).await });
    gate.arrived().await;
    request.abort();
    assert!(request.await.is_err_and(|error| error.is_cancelled()));
}

/// Polls a future once, and leaves it.
async fn begin<F: Future>(future: Pin<&mut F>) {
    let mut future = future;
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
}
