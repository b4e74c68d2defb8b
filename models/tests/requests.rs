//! Several requests of one session at once, each with a slot of its own, over one memory store.

mod checker;
mod site;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use sessions::TypedSession;
use shuttle::{
    future::block_on,
    rand::{Rng, thread_rng},
};

use self::{
    checker::is_long,
    site::{
        Account, Aftermath, Distance, Given, Handler, Mark, Reply, Seen, Site, Visitor, handler, hung_up,
    },
};

/// What a request does with the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestStep {
    Look,
    Note,
    SaveNote,
    Hit,
    Cart,
    Rotate,
    Renew,
    Destroy,
    /// The same user proves again who it is; an anonymous visitor logs in.
    Login,
    /// Another user.
    Switch,
    Logout,
    Grant,
    Revoke,
    /// The response is a server error.
    DestroyAndFail,
    RevokeAndFail,
    NoteAndFail,
}

use RequestStep::*;

const STEPS: [RequestStep; 16] = [
    Look,
    Note,
    SaveNote,
    Hit,
    Cart,
    Rotate,
    Renew,
    Destroy,
    Login,
    Switch,
    Logout,
    Grant,
    Revoke,
    DestroyAndFail,
    RevokeAndFail,
    NoteAndFail,
];

impl RequestStep {
    const fn fails(self) -> bool {
        matches!(self, DestroyAndFail | RevokeAndFail | NoteAndFail)
    }

    const fn destroys(self) -> bool {
        matches!(self, Destroy | DestroyAndFail)
    }

    const fn is_login(self) -> bool {
        matches!(self, Login | Switch)
    }

    /// Whether a new secret goes with it, of which the old one's bearer knows nothing.
    const fn is_hard(self) -> bool {
        self.is_login() || matches!(self, Rotate | Logout | Grant | Revoke | RevokeAndFail)
    }

    const fn notes(self) -> bool {
        matches!(self, Note | SaveNote)
    }
}

/// What a request did, and the answer to it.
#[derive(Clone, Debug)]
struct Done {
    step: RequestStep,
    /// The field that its notes go to, so that none overwrites another's.
    field: &'static str,
    /// Whether its handler came so far, and had the record then.
    reached: Mark,
    found: Mark,
    /// `None` if the client had gone away.
    answer: Option<site::Visited>,
}

impl Done {
    fn is_acknowledged(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.status == StatusCode::OK)
    }

    /// True if it is done to the first record, by the answer to the browser.
    fn is_done(&self) -> bool {
        let Some(answer) = &self.answer else { return false };
        let is_told = match self.step {
            // A server error says nothing of it, but a new cookie does.
            RevokeAndFail => matches!(answer.given, Given::Cookie(_)),
            DestroyAndFail => answer.given == Given::Removal,
            _ => answer.status == StatusCode::OK,
        };
        self.found.is_set() && is_told
    }

    fn cookie(&self) -> Option<&str> {
        match &self.answer.as_ref()?.given {
            Given::Cookie(cookie) => Some(cookie),
            Given::Nothing | Given::Removal => None,
        }
    }
}

fn acting(step: RequestStep, field: &'static str, reached: Mark, found: Mark) -> Handler {
    handler(move |mut session: TypedSession<Account>| {
        let (reached, found) = (reached.clone(), found.clone());
        async move {
            if session.record_id().is_some() {
                found.set();
            }
            match step {
                Look => assert!(session.memo().is_none_or(|memo| !memo.is_empty())),
                Note | NoteAndFail => note(&mut session, field),
                SaveNote => {
                    note(&mut session, field);
                    if let Err(error) = session.save().await {
                        return Reply(error.status());
                    }
                }
                Hit => session.add_hits(1),
                Cart => session.set_cart("full"),
                Rotate => session.rotate(),
                Renew => session.renew(),
                Destroy | DestroyAndFail => session.destroy(),
                Login => session.set_user(1_u64),
                Switch => session.set_user(2_u64),
                Logout => session.remove_user(),
                Grant => session.set_role("chief"),
                Revoke | RevokeAndFail => session.remove_role(),
            }
            reached.set();
            let reply = Reply::from(session);
            if step.fails() { Reply(StatusCode::INTERNAL_SERVER_ERROR) } else { reply }
        }
    })
}

fn note(session: &mut TypedSession<Account>, field: &str) {
    match field {
        "note" => session.set_note("written"),
        _ => session.set_memo("written"),
    }
}

/// Requests with these steps at once, on a site that is closed when they are over; the client of the last may go
/// away.
async fn at_once(
    site: Site,
    steps: &[(RequestStep, &'static str)],
    waits: Option<usize>,
) -> (Vec<Done>, Aftermath) {
    let mut expected = Vec::new();
    let answers = Arc::new(Mutex::new(vec![None; steps.len()]));
    for (index, (step, field)) in steps.iter().copied().enumerate() {
        let (reached, found) = (Mark::default(), Mark::default());
        let acting = acting(step, field, reached.clone(), found.clone());
        let waits = waits.filter(|_| index + 1 == steps.len());
        expected.push(Done { step, field, reached, found, answer: None });
        let answers = Arc::clone(&answers);
        if let Some(waits) = waits {
            let visit = site.visit_from_afar(acting);
            tokio::spawn(async move { answers.lock().unwrap()[index] = hung_up(visit, waits).await });
        } else {
            let visit = site.visit(acting);
            tokio::spawn(async move { answers.lock().unwrap()[index] = Some(visit.await) });
        }
    }
    let after = site.close().await;
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    let done = expected.into_iter().zip(answers).map(|(done, answer)| Done { answer, ..done });
    (done.collect(), after)
}

/// What must hold after any requests at once that came with one cookie.
async fn check(visitor: Visitor, done: &[Done], after: Aftermath) {
    let is_there = after.is_there().await;
    let by = |what: fn(RequestStep) -> bool| done.iter().filter(move |done| what(done.step));
    let lost: Vec<_> = done.iter().filter(|done| done.answer.is_none()).collect();

    // A logout that was asked for is done, whatever else happens, and the browser learns of it.
    let destroyed = by(RequestStep::destroys).any(|done| done.found.is_set() && done.reached.is_set());
    assert_eq!(is_there, !destroyed, "{done:#?}");
    for each in by(RequestStep::destroys).filter(|done| done.is_done()) {
        assert_eq!(each.answer.as_ref().map(|answer| &answer.given), Some(&Given::Removal), "{done:#?}");
    }

    // Whoever is refused has met one who took the session away, gets no cookie, and nothing of it is stored.
    for each in done {
        let Some(answer) = &each.answer else { continue };
        let expected = if each.step.fails() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        if answer.status != expected {
            assert_eq!(answer.status, StatusCode::CONFLICT, "{done:#?}");
            assert_eq!(answer.given, Given::Nothing, "{done:#?}");
            let took_it_away = |other: &Done| {
                !std::ptr::eq(each, other)
                    && (other.step.is_hard() || other.step.destroys())
                    && (other.is_done() || other.answer.is_none())
            };
            assert!(done.iter().any(took_it_away), "{done:#?}");
        }
    }

    // Which cookies lead where.
    let mut cookies: Vec<_> = done.iter().filter_map(Done::cookie).collect();
    cookies.sort_unstable();
    cookies.dedup();
    let mut seen = Vec::new();
    // The old one first: a request with a renewed one ends the old one.
    for cookie in std::iter::once(after.cookie.as_str()).chain(cookies) {
        seen.push((cookie, after.look(cookie).await));
    }
    let led_to = |cookie: &str| seen.iter().find(|(known, _)| *known == cookie)?.1.as_ref();
    let leads_there = |cookie: &str| led_to(cookie).is_some_and(|seen| seen.record == after.record);
    let usable: Vec<_> =
        seen.iter().map(|(cookie, _)| *cookie).filter(|cookie| leads_there(cookie)).collect();
    if !is_there {
        assert!(usable.is_empty(), "{done:#?}");
    }
    // A login that lost the race went to a record of its own.
    let went_elsewhere =
        |done: &Done| done.cookie().is_some_and(|cookie| led_to(cookie).is_some() && !leads_there(cookie));
    let changed: Vec<_> =
        by(RequestStep::is_hard).filter(|done| done.is_done() && !went_elsewhere(done)).collect();
    // A right is taken away beside another request's rotation, too; the secret is then the other one's.
    let (rotated, beside): (Vec<&Done>, Vec<&Done>) =
        changed.iter().partition(|done| done.cookie().is_some());
    assert!(rotated.len() <= 1, "two rotations of one epoch: {done:#?}");
    assert!(beside.iter().all(|done| matches!(done.step, Revoke | Logout)), "{done:#?}");
    let unacknowledged_rotation = lost.iter().any(|done| done.step.is_hard());
    if is_there {
        if let [winner] = rotated[..] {
            assert_eq!(usable, [winner.cookie().expect("a new secret")], "{done:#?}");
        } else if !unacknowledged_rotation {
            assert!(usable.contains(&after.cookie.as_str()), "{done:#?}");
            let given: Vec<_> =
                done.iter().filter(|done| !went_elsewhere(done)).filter_map(Done::cookie).collect();
            assert!(given.iter().all(|cookie| *cookie == given[0] && leads_there(cookie)), "{done:#?}");
            if by(|step| step == Renew).any(Done::is_done) && visitor == Visitor::User {
                assert!(!given.is_empty(), "{done:#?}");
            }
            if let Some(renewed) = given.first() {
                // It has been seen just now.
                after.advance(Duration::from_secs(11));
                assert!(after.look(&after.cookie).await.is_none(), "{done:#?}");
                assert!(after.look(renewed).await.is_some(), "{done:#?}");
            }
        }
    }

    let is_changed_by = |what: fn(RequestStep) -> bool| changed.iter().any(|done| what(done.step));
    let ends_fields = |step| match visitor {
        Visitor::User => matches!(step, Switch | Logout),
        Visitor::Anonymous => false,
    };
    let ended_fields = changed.iter().any(|done| ends_fields(done.step));
    let may_have_ended = lost.iter().any(|done| ends_fields(done.step));
    for each in done.iter().filter(|done| done.step.notes() || done.step == NoteAndFail) {
        let written = Some(Some(r#""written""#.to_owned()));
        let stored = after.stored(each.field).await;
        if each.is_acknowledged() && each.found.is_set() {
            if is_there && !may_have_ended {
                assert_eq!(stored == written, !ended_fields, "{done:#?}");
            }
        } else if each.is_acknowledged() {
            let began = each.cookie().and_then(led_to).expect("a session of its own");
            assert!(began.record != after.record && text(began, each.field) == Some("written"), "{done:#?}");
        } else if each.answer.is_some() {
            assert_ne!(stored, written, "{done:#?}");
        }
    }
    if is_there {
        if by(|step| step == Cart).any(Done::is_done) {
            assert_eq!(after.stored("cart").await.flatten().as_deref(), Some(r#""full""#), "{done:#?}");
        }
        if lost.is_empty() && !ended_fields {
            let hits = by(|step| step == Hit).filter(|done| done.is_done()).count();
            let stored =
                after.stored("hits").await.flatten().map_or(0, |hits| hits.parse().expect("a number"));
            assert_eq!(hits, stored, "{done:#?}");
        }
        let role = after.stored("role").await.flatten();
        let took_right = |step| matches!(step, Revoke | RevokeAndFail | Switch | Logout);
        // What fails is told of a removal only by the cookie of its own rotation; a later proof stays.
        let took_and_failed = by(|step| step == RevokeAndFail)
            .any(|done| done.answer.is_some() && done.reached.is_set() && done.found.is_set());
        let may_have_proved = by(RequestStep::is_login).any(|done| done.answer.is_none() || done.is_done());
        // A logout of a visitor takes nothing of what another request has granted meanwhile.
        let took = changed.iter().any(|done| {
            took_right(done.step)
                && (done.step != Logout || visitor == Visitor::User || done.cookie().is_some())
        });
        if took || (took_and_failed && !may_have_proved) {
            assert_eq!(role, None, "{done:#?}");
        } else if took_and_failed || lost.iter().any(|done| took_right(done.step)) {
            // It may have taken away what was granted meanwhile; without that, the next assertion tells.
        } else if is_changed_by(|step| step == Grant) {
            assert_eq!(role.as_deref(), Some(r#""chief""#), "{done:#?}");
        } else if visitor == Visitor::User && !unacknowledged_rotation {
            assert_eq!(role.as_deref(), Some(r#""clerk""#), "{done:#?}");
        }
        // A right that was taken away is gone even if no response said so.
        if lost.iter().any(|done| {
            matches!(done.step, Revoke | RevokeAndFail) && done.reached.is_set() && done.found.is_set()
        }) && !is_changed_by(|step| step == Grant)
            && rotated.is_empty()
        {
            assert_eq!(role, None, "{done:#?}");
        }
    }
    for each in by(RequestStep::is_login) {
        let had_none = visitor == Visitor::Anonymous;
        if had_none && each.answer.is_some() {
            assert!(each.is_acknowledged(), "a login that was lost: {done:#?}");
        }
        if each.is_acknowledged() && !destroyed {
            let user = each.cookie().and_then(led_to).and_then(|seen| seen.user);
            assert_eq!(user, Some(if each.step == Login { 1 } else { 2 }), "{done:#?}");
        }
    }
    assert!(after.unsaved.is_empty());
}

fn text<'a>(seen: &'a Seen, field: &str) -> Option<&'a str> {
    if field == "note" { seen.note.as_deref() } else { seen.memo.as_deref() }
}

/// One model: these steps at once.
fn model(
    visitor: Visitor,
    distance: Distance,
    steps: Vec<(RequestStep, &'static str)>,
    waits: Option<usize>,
) -> impl Fn() + Clone + Send + Sync + 'static {
    let steps = Arc::new(steps);
    move || {
        let steps = Arc::clone(&steps);
        block_on(async move {
            let site = Site::new(distance, visitor).await;
            let (done, after) = at_once(site, &steps, waits).await;
            check(visitor, &done, after).await;
        });
    }
}

fn pairs() -> impl Iterator<Item = (RequestStep, RequestStep)> {
    STEPS
        .into_iter()
        .enumerate()
        .flat_map(|(index, one)| STEPS[..=index].iter().map(move |other| (one, *other)))
}

const VISITORS: [Visitor; 2] = [Visitor::User, Visitor::Anonymous];

/// Two requests, in every order of what they do to the store.
#[test]
fn two_requests_of_a_session() {
    for visitor in VISITORS {
        for (one, other) in pairs().filter(|(one, other)| {
            is_long() || visitor == Visitor::User || one.is_login() || other.is_login()
        }) {
            let steps = vec![(one, "note"), (other, "memo")];
            let name = format!("two_requests {visitor:?} {one:?} {other:?}");
            checker::every(&name, 0, model(visitor, Distance::There, steps, None));
        }
    }
}

/// Two requests that interrupt each other anywhere, the inside of the slot and of the store included.
#[test]
fn two_requests_that_interrupt_each_other() {
    let some = [Note, Rotate, Renew, Destroy];
    for (one, other) in pairs().filter(|(one, other)| is_long() || some.contains(one) && some.contains(other))
    {
        let steps = vec![(one, "note"), (other, "memo")];
        let name = format!("interrupted {one:?} {other:?}");
        checker::every(&name, 1, model(Visitor::User, Distance::None, steps, None));
    }
}

/// Two requests, the client of one of which goes away at any moment at which it waits.
#[test]
fn a_client_that_goes_away() {
    let some = [(Note, Revoke), (Note, Destroy), (Rotate, Revoke)];
    for (one, other) in STEPS.into_iter().flat_map(|one| STEPS.map(|other| (one, other))) {
        if !is_long() && !some.contains(&(one, other)) {
            continue;
        }
        for waits in 0..5 {
            let steps = vec![(one, "note"), (other, "memo")];
            let name = format!("gone {one:?} {other:?} {waits}");
            checker::every(&name, 0, model(Visitor::User, Distance::There, steps, Some(waits)));
        }
    }
}

/// Three requests that do anything, at random.
#[test]
fn three_requests_of_a_session() {
    checker::many("three_requests", || {
        let mut random = thread_rng();
        let visitor = VISITORS[random.gen_range(0..2)];
        let distance = if random.gen_range(0..2) == 0 { Distance::ThereAndBack } else { Distance::None };
        let waits = Some(random.gen_range(0..12)).filter(|waits| *waits < 6);
        let mut step = || STEPS[random.gen_range(0..STEPS.len())];
        // Of two that note in one place, the answers of both could be right.
        let third = std::iter::repeat_with(&mut step).find(|step| !step.notes() && *step != NoteAndFail);
        let steps = vec![(step(), "note"), (step(), "memo"), (third.expect("one of many"), "cart")];
        model(visitor, distance, steps, waits)();
    });
}
