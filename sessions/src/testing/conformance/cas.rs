//! Fields that a request changes only while they are as it saw them: `merge = "cas"`, `group` and `update`.

use super::{
    super::{Gate, Operation},
    environment::{TestEnvironment, at_once, record_of},
    handler::gated,
};
use crate::{Session, TypedSession, error::ErrorKind};

#[derive(Session)]
struct Basket {
    #[session(merge = "cas")]
    places: u32,
    #[session(merge = "cas", alias = "remark")]
    note: Option<String>,
    #[session(group = "cart", keep_on_logout)]
    items: Vec<u32>,
    #[session(group = "cart", keep_on_logout)]
    total: u32,
    #[session(merge = "add")]
    visits: u32,
}

/// A view of one field of the group.
#[derive(Session)]
struct Total {
    #[session(group = "cart", keep_on_logout)]
    total: u32,
}

/// A program that knows neither the condition nor the group.
#[derive(Session)]
struct Plain {
    places: u32,
    remark: Option<String>,
}

type Visit = TypedSession<Basket>;

async fn places(session: Visit) -> u32 {
    session.places()
}

async fn cart(session: Visit) -> (Vec<u32>, u32) {
    (session.items().to_vec(), session.total())
}

fn put_in(session: &mut Visit, item: u32) {
    session.items_mut().push(item);
    let total = session.items().iter().sum();
    session.set_total(total);
}

/// A write of a field that another request has changed meanwhile is refused with 409, wholly; the next one is not.
pub async fn a_changed_field_refuses_the_write(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    let browser = app.visitor("Ada").await;
    for before in [0, 2] {
        let gate = Gate::new();
        let slow = gated(&gate, async move |mut session: Visit| {
            session.set_places(before + 1);
            session.set_note("mine");
            session.add_visits(1);
        });
        let slow = tokio::spawn(browser.send(slow));
        gate.arrived().await;
        browser
            .at(&other.browser())
            .visit(async move |mut session: Visit| session.set_places(before + 2))
            .await;
        app.events();
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 409);
        let events = app.events();
        assert!(events.iter().any(|event| event.contains("`places`")), "{events:?}");
        let found = async |session: Visit| (session.places(), session.has_note(), session.visits());
        assert_eq!(browser.visit(found).await, (before + 2, false, 0));
    }
    browser.visit(async |mut session: Visit| *session.places_mut() += 1).await;
    assert_eq!(browser.visit(places).await, 5);
}

/// A request that leaves the field as it is neither writes it nor fails, whatever becomes of it meanwhile.
pub async fn an_unchanged_field_is_no_condition(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    browser.visit(async |mut session: Visit| session.set_places(0)).await;
    browser.visit(async |mut session: Visit| session.remove_note()).await;
    browser.visit(async |mut session: Visit| session.set_total(0)).await;
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(app.stored(id, "__version.cart").await, None);
    let gate = Gate::new();
    let slow = gated(&gate, async |mut session: Visit| {
        session.set_places(3);
        session.reset_places();
        session.add_visits(1);
    });
    let slow = tokio::spawn(browser.send(slow));
    gate.arrived().await;
    browser.visit(async |mut session: Visit| session.set_places(7)).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200);
    assert_eq!(browser.visit(places).await, 7);
}

/// A value under an older name is part of the condition.
pub async fn an_older_name_is_part_of_the_condition(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: TypedSession<Plain>| session.set_remark("old")).await;
    let gate = Gate::new();
    let slow = tokio::spawn(browser.send(gated(&gate, async |mut session: Visit| session.set_note("new"))));
    gate.arrived().await;
    browser.visit(async |mut session: TypedSession<Plain>| session.set_remark("newer")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    let note = async |session: Visit| session.note().map(str::to_owned);
    assert_eq!(browser.visit(note).await.as_deref(), Some("newer"));
    browser.visit(async |mut session: Visit| session.set_note("newest")).await;
    assert_eq!(browser.visit(note).await.as_deref(), Some("newest"));
    assert_eq!(app.stored(record_of(&browser), "remark").await, None);
}

/// A request that changes one field of a group is refused if another of its fields was changed meanwhile.
pub async fn a_group_has_one_version(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| put_in(&mut session, 4)).await;
    let gate = Gate::new();
    let slow = gated(&gate, async |mut session: TypedSession<Total>| session.set_total(9));
    let slow = tokio::spawn(browser.send(slow));
    gate.arrived().await;
    browser.visit(async |mut session: Visit| put_in(&mut session, 3)).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    assert_eq!(browser.visit(cart).await, (vec![4, 3], 7));
    app.calls.clear();
    browser.visit(async |mut session: Visit| put_in(&mut session, 1)).await;
    assert_eq!(app.calls.writes(), 1, "the version costs no further trip");
}

/// A failed condition takes nothing from a handle of the request that asked for none, and two handles of one request
/// do not overwrite each other's group.
pub async fn handles_of_one_request_keep_the_condition(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let two = async |mut one: Visit, mut other: Visit| {
        put_in(&mut one, 1);
        put_in(&mut other, 2);
    };
    assert_eq!(browser.send(two).await.status(), 409);
    assert_eq!(browser.visit(cart).await, (vec![], 0));
    let beside = async |mut counted: Visit, mut changed: Visit| {
        counted.add_visits(1);
        drop(counted);
        changed.update(|session| put_in(session, 2)).await
    };
    let gate = Gate::new();
    let slow = tokio::spawn(browser.visit(gated(&gate, beside)));
    gate.arrived().await;
    browser.visit(async |mut session: Visit| put_in(&mut session, 1)).await;
    gate.release();
    slow.await.expect("an answer").expect("an update");
    assert_eq!(browser.visit(cart).await, (vec![1, 2], 3));
    assert_eq!(
        browser.visit(async |session: Visit| session.visits()).await,
        1,
        "the other handle's is written"
    );
}

/// An update reads the record again and makes its change on what is there, three times at most. It returns what the
/// closure returned at last.
pub async fn an_update_is_made_again(env: TestEnvironment) {
    for (losses, is_made) in [(0, true), (1, true), (3, true), (4, false)] {
        let (app, other) = (env.app().await, env.app().await);
        let browser = app.visitor("Ada").await;
        for _ in 0..losses {
            let rival = browser.at(&other.browser());
            app.faults.before(Operation::Commit, move || async move {
                rival.visit(async |mut session: Visit| *session.places_mut() += 10).await;
            });
        }
        let updated = async move |mut session: Visit| {
            let mut tries = 0;
            let place = session.update(|session| {
                tries += 1;
                *session.places_mut() += 1;
                session.places()
            });
            let place = place.await.map_err(|error| error.kind());
            (place, tries, session.places())
        };
        let (place, tries, shown) = browser.visit(updated).await;
        assert_eq!(tries, losses.min(3) + 1);
        let expected = if is_made { Ok(10 * losses + 1) } else { Err(ErrorKind::Conflict) };
        assert_eq!(place, expected, "{losses}");
        assert_eq!(app.faults.pending(), 0);
        let conflicts = app.events().iter().filter(|event| event.contains("`places`")).count();
        assert_eq!(conflicts, usize::from(!is_made), "what was made again is no event");
        let now = browser.visit(places).await;
        assert_eq!(now, if is_made { 10 * losses + 1 } else { 10 * losses });
        assert!(!is_made || shown == now);
    }
}

/// What a handle changed before an update is saved first, and is not made again.
pub async fn what_came_before_an_update_is_saved_once(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    let browser = app.visitor("Ada").await;
    let rival = browser.at(&other.browser());
    app.faults.after(Operation::Commit, move || async move {
        rival.visit(async |mut session: Visit| *session.places_mut() += 10).await;
    });
    let updated = async move |mut session: Visit| {
        session.add_visits(1);
        session.update(|session| *session.places_mut() += 1).await
    };
    browser.visit(updated).await.expect("an update");
    let found = async |session: Visit| (session.places(), session.visits());
    assert_eq!(browser.visit(found).await, (11, 1));
}

/// Sixteen requests at once change a cart whose total depends on its items, and places that none may take twice, through
/// two instances: the invariant holds in each round, and what was acknowledged is there, once.
pub async fn an_invariant_over_fields_holds(env: TestEnvironment) {
    let apps = [env.app().await, env.app().await];
    let browser = apps[0].visitor("Ada").await;
    let mut expected = Vec::new();
    let mut taken = Vec::new();
    for round in 0..25 {
        let requests = (0..16).map(|index: u32| {
            let tab = browser.at(&apps[index as usize % 2].browser());
            let item = round * 16 + index + 1;
            tab.visit(async move |mut session: Visit| {
                let updated = session.update(|session| {
                    put_in(session, item);
                    *session.places_mut() += 1;
                    session.places()
                });
                match updated.await {
                    Ok(place) => Some((item, place)),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Conflict);
                        None
                    }
                }
            })
        });
        let done: Vec<_> = at_once(requests).await.into_iter().flatten().collect();
        assert!(!done.is_empty(), "in each round one request at least is first");
        expected.extend(done.iter().map(|(item, _)| *item));
        taken.extend(done.iter().map(|(_, place)| *place));
        let (mut items, total) = browser.visit(cart).await;
        assert_eq!(total, items.iter().sum::<u32>(), "{items:?}");
        items.sort_unstable();
        expected.sort_unstable();
        assert_eq!(items, expected);
        taken.sort_unstable();
        let places_now = browser.visit(places).await;
        assert_eq!(taken, (1..=places_now).collect::<Vec<_>>(), "no place was given twice");
    }
}

/// A request that only reads a group, and one that changes another field, cost what they cost without it.
pub async fn a_group_costs_only_who_changes_it(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| put_in(&mut session, 4)).await;
    app.calls.clear();
    browser.visit(cart).await;
    assert_eq!((app.calls.count(Operation::Load), app.calls.writes()), (1, 0));
    app.calls.clear();
    browser.visit(async |mut session: Visit| session.add_visits(1)).await;
    let changes: Vec<_> = app.calls().iter().flat_map(|call| call.changes().to_vec()).collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
}
