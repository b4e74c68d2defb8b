//! What goes on beside a response and after it: futures that are kept or dropped, sockets, their ends.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use axum::{Router, routing::get};
use sessions::{
    Session, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Client, FaultStore, Faults, Gate, Operation},
};
use tokio::task::JoinHandle;

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
    events: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn new(routes: Router, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        let store = FaultStore::new(MemoryStore::new());
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
        let browser = Client::new(routes.layer(layer.clone()));
        assert_eq!(browser.get("/begin").await.status(), 200);
        assert_eq!(browser.get("/name").await.text(), "Ada");
        let site = Self { browser, layer, faults, events };
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Polls a future once, and leaves it.
async fn begin<F: Future>(future: std::pin::Pin<&mut F>) {
    let mut future = future;
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
}
