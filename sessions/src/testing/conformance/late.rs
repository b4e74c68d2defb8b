//! Changes that come after the response head has left.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use http::request::Parts;

use super::{
    super::Operation,
    environment::{TestEnvironment, record_of, session},
    reply::HandlerFailure,
};
use crate::{ErrorKind, Session, TypedSession};

#[derive(Session)]
struct LateNamed {
    name: Option<String>,
}

/// A second view of the same session.
#[derive(Session)]
struct LateThemed {
    theme: Option<String>,
}

type Visit = TypedSession<LateNamed>;
type OtherVisit = TypedSession<LateThemed>;

async fn set_early(mut session: Visit) {
    session.set_name("early");
}

/// Returns its session, which a scenario then uses after the response.
async fn keep(session: Visit) -> Visit {
    session
}

/// Changes dropped after the response head are reported, and are in no store.
pub async fn a_write_after_the_head_is_loud(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(set_early).await;
    let id = record_of(&browser);
    app.events();
    let mut late = browser.visit(keep).await;
    late.set_name("late");
    drop(late);
    let events = app.events();
    assert!(
        matches!(&events[..], [event] if event.contains("UnsavedChanges") && event.contains("name")),
        "{events:?}"
    );
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"early\""));
}

/// A `save` after the response head writes.
pub async fn save_works_after_the_head(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(set_early).await;
    let id = record_of(&browser);
    app.events();
    let mut late = browser.visit(keep).await;
    late.set_name("late");
    late.save().await.expect("saved");
    drop(late);
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"late\""));
    assert_eq!(app.events(), [""; 0]);
}

/// A session that needs a cookie cannot begin after the response head, and nothing is written.
pub async fn a_late_save_that_needs_a_cookie_is_refused(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let mut late = browser.visit(keep).await;
    assert!(browser.cookies().is_empty());
    late.set_name("late");
    assert_eq!(late.save().await.map_err(|error| error.kind()), Err(ErrorKind::HeadSent));
    late.discard_changes();
    drop(late);
    assert_eq!(app.calls(), []);
}

/// A `reload` or the opening of a view that is kept without being polled holds up no save of another view.
pub async fn a_kept_future_holds_up_no_save(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(set_early).await;

    let faults = app.faults.clone();
    let save_beside_an_opening = async move |mut parts: Parts| {
        let mut session: Visit = self::session(&mut parts).await?;
        let held = faults.hold(Operation::Load);
        let mut opening = pin!(self::session::<OtherVisit>(&mut parts));
        // A store that has loaded all fields opens at once.
        let opened = begin(opening.as_mut()).await;
        held.release();
        session.set_name("opened");
        session.save().await?;
        drop(match opened {
            Poll::Ready(opened) => opened?,
            Poll::Pending => opening.await?,
        });
        faults.clear();
        Ok::<_, HandlerFailure>(())
    };
    assert_eq!(browser.send(save_beside_an_opening).await.status(), 200);
    assert_eq!(app.stored(record_of(&browser), "name").await.as_deref(), Some("\"opened\""));

    let faults = app.faults.clone();
    let save_beside_a_reload = async move |mut session: Visit, mut other: OtherVisit| {
        let held = faults.hold(Operation::Load);
        let mut reload = pin!(other.reload());
        assert!(begin(reload.as_mut()).await.is_pending());
        held.release();
        session.set_name("reloaded");
        session.save().await?;
        reload.await
    };
    assert_eq!(browser.send(save_beside_a_reload).await.status(), 200);
    assert_eq!(app.stored(record_of(&browser), "name").await.as_deref(), Some("\"reloaded\""));
}

async fn begin<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
