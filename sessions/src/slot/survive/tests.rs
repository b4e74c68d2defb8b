//! Work that is dropped, and what becomes of it.

use std::future::poll_fn;

use tokio::sync::oneshot;

use super::*;
use crate::slot::{LayerContext, RequestFacts, context::MOST_DETACHED};

fn slot() -> Arc<Slot> {
    Arc::new(Slot::new(Arc::new(LayerContext::for_tests()), RequestFacts::default()))
}

type Begin = fn(&Arc<Slot>, BoxedWork<()>) -> Surviving<()>;

/// Work that waits for the first and tells the second, and is begun.
async fn begun(
    slot: &Arc<Slot>,
    begin: Begin,
) -> (Surviving<()>, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let ((go, gone), (tell, told)) = (oneshot::channel(), oneshot::channel());
    let work = Box::pin(async move {
        gone.await.map_err(Error::outcome_unknown)?;
        tell.send(()).map_err(|()| Error::outcome_unknown("nothing waits"))
    });
    let mut work = begin(slot, work);
    let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut work).poll(context))).await;
    assert!(polled.is_pending());
    (work, go, told)
}

const BEGIN: [Begin; 2] =
    [|slot, work| Surviving::in_task(slot, work), |slot, work| Surviving::in_place(slot, work)];

#[tokio::test]
async fn work_that_is_awaited_is_done() {
    for begin in BEGIN {
        let slot = slot();
        let (work, go, told) = begun(&slot, begin).await;
        go.send(()).unwrap();
        work.await.unwrap();
        told.await.unwrap();
    }
}

#[tokio::test]
async fn dropped_work_goes_on_wherever_it_is_dropped() {
    for begin in BEGIN {
        let slot = slot();
        slot.context().note_runtime();
        let (work, go, told) = begun(&slot, begin).await;
        // A thread without a runtime.
        std::thread::spawn(move || drop(work)).join().unwrap();
        go.send(()).unwrap();
        told.await.unwrap();
    }
}

#[tokio::test]
async fn work_that_was_not_begun_is_not_begun_by_dropping_it() {
    for begin in BEGIN {
        let (tell, told) = oneshot::channel();
        drop(begin(&slot(), Box::pin(async move { tell.send(()).map_err(|()| Error::session_ended()) })));
        assert!(told.await.is_err());
    }
}

/// Each keeps what its request has loaded, so only so many go on.
#[tokio::test]
async fn dropped_work_beyond_the_limit_ends() {
    for begin in BEGIN {
        let slot = slot();
        let others = slot.context().detached.try_acquire_many(MOST_DETACHED.try_into().unwrap()).unwrap();
        let (work, _go, told) = begun(&slot, begin).await;
        drop(work);
        assert!(told.await.is_err());
        drop(others);
    }
}

/// It ends a session, takes a right away or changes a secret.
#[tokio::test]
async fn dropped_work_that_takes_something_away_goes_on_beyond_the_limit() {
    for begin in BEGIN {
        let slot = slot();
        let _others = slot.context().detached.try_acquire_many(MOST_DETACHED.try_into().unwrap()).unwrap();
        let (work, go, told) = begun(&slot, begin).await;
        slot.rotate();
        drop(work);
        go.send(()).unwrap();
        told.await.unwrap();
    }
}

#[tokio::test]
async fn what_only_reads_ends_when_it_is_dropped() {
    let (work, _go, told) = begun(&slot(), |_, work| Surviving::reading(work)).await;
    drop(work);
    assert!(told.await.is_err());
}
