//! Changes that come after the response head has left.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, OnceLock},
    task::Poll,
};

use super::{
    super::{Faults, Gate, Operation},
    environment::{TestApp, TestEnvironment, record_of, session},
    kit::{Kit, Other},
    reply::text,
};
use crate::TypedSession;

/// Changes dropped after the response head are reported, and are in no store.
pub async fn a_write_after_the_head_is_loud(env: TestEnvironment) {
    let (app, gate, done) = late_writer(&env, false).await;
    let browser = app.browser();
    browser.get("/set").await;
    let id = record_of(&browser);
    app.events();
    browser.get("/late").await;
    gate.release();
    done.arrived().await;
    let events = app.events();
    assert!(
        events.iter().any(|event| event.contains("UnsavedChanges") && event.contains("name")),
        "{events:?}"
    );
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"early\""));
}

/// `save` writes whenever it is called.
pub async fn save_works_after_the_head(env: TestEnvironment) {
    let (app, gate, done) = late_writer(&env, true).await;
    let browser = app.browser();
    browser.get("/set").await;
    let id = record_of(&browser);
    app.events();
    browser.get("/late").await;
    gate.release();
    done.arrived().await;
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"late\""));
    assert_eq!(app.events(), [""; 0]);
}

/// A session that needs a cookie cannot begin once the head has left: nothing is written.
pub async fn a_late_save_that_needs_a_cookie_is_refused(env: TestEnvironment) {
    let (app, gate, done) = late_writer(&env, true).await;
    let response = app.browser().get("/late").await;
    assert!(response.set_cookies().is_empty());
    gate.release();
    done.arrived().await;
    assert_eq!(app.calls(), []);
    let events = app.events();
    assert!(events.iter().any(|event| event.contains("HeadSent")), "{events:?}");
}

/// What was begun and is kept without being polled holds up no save of another view: a `reload`, and the opening
/// of a further view.
pub async fn a_kept_future_holds_up_no_save(env: TestEnvironment) {
    let faults = Arc::new(OnceLock::<Faults>::new());
    let known = Arc::clone(&faults);
    let app = env
        .app_answering(move |mut parts| {
            let faults = known.get().cloned();
            async move {
                let mut kit: TypedSession<Kit> = session(&mut parts).await?;
                let Some(faults) = faults else {
                    kit.set_name("Ada");
                    return text("done");
                };
                if parts.uri.path() == "/open" {
                    let held = faults.hold(Operation::Load);
                    let mut opening = pin!(session::<TypedSession<Other>>(&mut parts));
                    // A store that has loaded all fields opens at once.
                    let opened = begin(opening.as_mut()).await;
                    held.release();
                    kit.set_name("opened");
                    kit.save().await?;
                    drop(match opened {
                        Poll::Ready(opened) => opened?,
                        Poll::Pending => opening.await?,
                    });
                    faults.clear();
                    return text("done");
                }
                let mut other: TypedSession<Other> = session(&mut parts).await?;
                let held = faults.hold(Operation::Load);
                let mut reload = pin!(other.reload());
                assert!(begin(reload.as_mut()).await.is_pending());
                held.release();
                kit.set_name("reloaded");
                kit.save().await?;
                reload.await?;
                text("done")
            }
        })
        .await;
    let browser = app.browser();
    browser.get("/set").await;
    faults.set(app.faults.clone()).ok();
    for (path, name) in [("/open", "\"opened\""), ("/reload", "\"reloaded\"")] {
        assert_eq!(browser.get(path).await.text(), "done");
        assert_eq!(app.stored(record_of(&browser), "name").await.as_deref(), Some(name));
    }
}

async fn begin<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// An application whose `/late` answers at once and changes the name when the first gate opens;
/// the second gate tells that it is over.
async fn late_writer(env: &TestEnvironment, saves: bool) -> (TestApp, Gate, Gate) {
    let (gate, done) = (Gate::new(), Gate::new());
    let (open, over) = (gate.clone(), done.clone());
    let failures = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&failures);
    let mut app = env
        .app_answering(move |mut parts| {
            let (open, over, noted) = (open.clone(), over.clone(), Arc::clone(&noted));
            async move {
                let mut kit: TypedSession<Kit> = session(&mut parts).await?;
                if parts.uri.path() == "/set" {
                    kit.set_name("early");
                    return text("done");
                }
                tokio::spawn(async move {
                    open.pass().await;
                    kit.set_name("late");
                    if saves && let Err(error) = kit.save().await {
                        noted.lock().expect("no panic here").push(format!("{:?}", error.kind()));
                        kit.discard_changes();
                    }
                    drop(kit);
                    over.pass().await;
                });
                text("on its way")
            }
        })
        .await;
    app.also_hear(failures);
    (app, gate, done)
}
