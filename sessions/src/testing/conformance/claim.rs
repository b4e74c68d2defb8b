//! Claims: of all requests that claim a value at once, exactly one gets it.

use http::Request;

use super::{
    super::{Gate, Operation},
    environment::{TestEnvironment, at_once, record_of},
    handler::gated,
};
use crate::{
    Session, TypedSession,
    error::{Error, ErrorKind},
};

#[derive(Session)]
struct Login {
    #[session(once, keep_on_logout, alias = "old_state")]
    state: Option<String>,
    #[flash]
    code: Option<u32>,
    #[session(merge = "add")]
    visits: u32,
}

type Visit = TypedSession<Login>;

async fn claim_state(mut session: Visit) -> Option<String> {
    session.claim_state().await.expect("an answer")
}

async fn claim_code(mut session: Visit) -> Option<u32> {
    session.claim_code().await.expect("an answer")
}

/// Eight requests claim one value at once, through two instances, 200 times: one gets it, each time.
pub async fn one_of_many_claimers_gets_it(env: TestEnvironment) {
    let apps = [env.app().await, env.app().await];
    let browser = apps[0].visitor("Ada").await;
    for round in 0..200 {
        let value = format!("state {round}");
        let set = value.clone();
        browser.visit(async move |mut session: Visit| session.set_state(set)).await;
        let claimers = (0..8).map(|index: usize| {
            let tab = browser.at(&apps[index % 2].browser());
            tab.visit(claim_state)
        });
        let got: Vec<_> = at_once(claimers).await.into_iter().flatten().collect();
        assert_eq!(got, [value], "round {round}");
    }
    assert_eq!(apps[0].stored(record_of(&browser), "state").await, None);
}

/// An equal value that is set again is another one: who saw the first cannot claim the second.
pub async fn an_equal_value_is_another_one(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.set_state("same")).await;
    let gate = Gate::new();
    let slow = tokio::spawn(browser.visit(gated(&gate, claim_state)));
    gate.arrived().await;
    assert_eq!(browser.visit(claim_state).await.as_deref(), Some("same"));
    browser.visit(async |mut session: Visit| session.set_state("same")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer"), None);
    assert_eq!(browser.visit(claim_state).await.as_deref(), Some("same"));
    assert_eq!(browser.visit(claim_state).await, None);
}

/// A claim is committed at once: what fails after it does not bring the value back. It is one write, and none where
/// there is nothing to claim.
pub async fn a_claim_is_immediate(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.flash_code(7)).await;
    app.calls.clear();
    let fails = async |mut session: Visit| {
        let code = session.claim_code().await?;
        assert_eq!(code, Some(7));
        Err::<(), Error>(Error::unavailable("something later"))
    };
    assert_eq!(browser.send(fails).await.status(), 503);
    assert_eq!(app.calls.writes(), 1);
    app.calls.clear();
    assert_eq!(browser.visit(claim_code).await, None);
    assert_eq!(app.calls.writes(), 0);
}

/// Claims stand beside the other ways to deliver a flash, and beside other handles of the request.
pub async fn claims_stand_beside_takes_and_keeps(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let flash = async |mut session: Visit| session.flash_code(7);
    // Taken in this request: delivered already.
    browser.visit(flash).await;
    let taken =
        async |mut session: Visit| (session.take_code(), session.claim_code().await.expect("an answer"));
    assert_eq!(browser.visit(taken).await, (Some(7), None));
    assert_eq!(browser.visit(claim_code).await, None);
    // Kept after a take: there to be claimed.
    browser.visit(flash).await;
    let kept = async |mut session: Visit| {
        session.take_code();
        session.keep_code();
        session.claim_code().await.expect("an answer")
    };
    assert_eq!(browser.visit(kept).await, Some(7));
    // A keep after a claim brings nothing back.
    browser.visit(flash).await;
    let claimed = async |mut session: Visit| {
        let code = session.claim_code().await.expect("an answer");
        session.keep_code();
        (code, session.code(), session.take_code())
    };
    assert_eq!(browser.visit(claimed).await, (Some(7), None, None));
    assert_eq!(browser.visit(claim_code).await, None);
    // Flashed in this request, and claimed in it.
    let own = async |mut session: Visit| {
        session.flash_code(8);
        session.claim_code().await.expect("an answer")
    };
    assert_eq!(browser.visit(own).await, Some(8));
    assert_eq!(browser.visit(claim_code).await, None);
    // Two handles of one request.
    browser.visit(flash).await;
    let two = async |mut one: Visit, mut other: Visit| {
        one.add_visits(1);
        let first = one.claim_code().await.expect("an answer");
        (first, other.claim_code().await.expect("an answer"))
    };
    assert_eq!(browser.visit(two).await, (Some(7), None));
    assert_eq!(browser.visit(async |session: Visit| session.visits()).await, 1);
    // One that a request shows for itself is not the stored one.
    browser.visit(flash).await;
    let shadowed = async |mut session: Visit| {
        session.flash_now_code(1);
        (session.claim_code().await.expect("an answer"), session.code())
    };
    assert_eq!(browser.visit(shadowed).await, (Some(7), Some(1)));
}

/// A claim whose answer is lost gives the value to no request; one that certainly was not made leaves it.
pub async fn a_lost_answer_gives_nothing_twice(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.set_state("s")).await;
    let claim = async |mut session: Visit| session.claim_state().await.map_err(|error| error.kind());
    app.faults.fail(Operation::Commit, 1);
    assert_eq!(browser.visit(claim).await, Err(ErrorKind::Unavailable));
    app.faults.lose_answer(Operation::Commit);
    assert_eq!(browser.visit(claim).await, Err(ErrorKind::OutcomeUnknown));
    assert_eq!(browser.visit(claim).await, Ok(None));
}

/// A HEAD request claims nothing: the value stays for the request that a user makes.
pub async fn a_head_claims_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.set_state("s")).await;
    let claim = async |mut session: Visit| {
        assert_eq!(session.claim_state().await.expect("an answer"), None);
    };
    assert_eq!(browser.send_as(Request::head("/"), claim).await.status(), 200);
    assert_eq!(browser.visit(claim_state).await.as_deref(), Some("s"));
}

/// A value under an older name is claimed as well.
pub async fn an_older_name_is_claimed(env: TestEnvironment) {
    #[derive(Session)]
    struct Before {
        #[session(once, keep_on_logout)]
        old_state: Option<String>,
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: TypedSession<Before>| session.set_old_state("old")).await;
    assert_eq!(browser.visit(claim_state).await.as_deref(), Some("old"));
    assert_eq!(browser.visit(claim_state).await, None);
    assert_eq!(app.stored(record_of(&browser), "old_state").await, None);
}
