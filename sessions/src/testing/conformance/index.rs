//! Sessions found by a field: listed, counted, ended and limited.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use http::StatusCode;

use super::{
    super::{Client, Gate, Operation},
    environment::{TestApp, TestEnvironment, at_once, record_of},
    handler::{Case, case, gated},
};
use crate::{
    Error, ErrorKind, FoundSessions, LoginLimit, Session, SessionLayer, Timeouts, TypedSession,
    store::{
        CommitOutcome, Credentials, Fields, NewRecord,
        index::{
            Confirmation, FieldCondition, IndexChange, IndexKey, IndexRow, IndexStamp, IndexStatus,
            IndexStore, Reservation,
        },
    },
    value::{FieldName, RecordId},
};

/// A session that is found by its user, and by its device.
#[derive(Session)]
struct Account {
    #[session(identity)]
    user: Option<String>,
    #[session(index, keep_on_logout)]
    device: Option<String>,
    note: String,
}

type Visit = TypedSession<Account>;

/// The number of logins at once.
const LOGINS: usize = 20;

/// Returns a handler that logs this user in.
fn login(user: &'static str) -> Case<Visit> {
    case(async move |mut account: Visit| account.set_user(user))
}

async fn logout(mut account: Visit) {
    account.remove_user();
}

async fn user(account: Visit) -> String {
    account.user().unwrap_or("-").to_owned()
}

/// Opens an application over a store with an index; `None`, with the reason printed, if the store has none.
async fn indexed(env: &TestEnvironment) -> Option<TestApp> {
    indexed_with(env, |layer| layer).await
}

async fn indexed_with(
    env: &TestEnvironment,
    configure: impl FnOnce(SessionLayer) -> SessionLayer,
) -> Option<TestApp> {
    let app = env.app_with(configure).await;
    if app.raw.index().is_none() {
        println!("skipped: the store has no index (`Store::index`)");
        return None;
    }
    Some(app)
}

/// Returns a browser in which this user is logged in.
async fn logged_in(app: &TestApp, name: &'static str) -> Client {
    let browser = app.browser();
    assert_eq!(browser.send(login(name)).await.status(), 200);
    browser
}

fn of(app: &TestApp, user: &str) -> FoundSessions<Account> {
    app.layer.sessions::<Account>().by_user(user)
}

async fn ids(found: &FoundSessions<Account>) -> BTreeSet<RecordId> {
    let listed = found.list().await.expect("a listing");
    assert_eq!(found.count().await.expect("a count"), listed.len());
    listed.iter().map(crate::find::SessionInfo::record_id).collect()
}

fn records<'a>(browsers: impl IntoIterator<Item = &'a Client>) -> BTreeSet<RecordId> {
    browsers.into_iter().map(record_of).collect()
}

/// Lets the store's clock tell a later moment.
async fn next_moment(env: &TestEnvironment, app: &TestApp) {
    env.clock.advance(Duration::from_millis(1));
    // A server's clock goes on by itself. Ending sessions waits for it.
    of(app, "zoe").revoke_all().await.expect("an end of no session");
}

/// A listing names the sessions of one value and no other, with their times and the fields of the view.
pub async fn a_listing_is_exact(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let (one, two, other) =
        (logged_in(&app, "ada").await, logged_in(&app, "ada").await, logged_in(&app, "bob").await);
    app.visitor("eve").await;
    two.visit(async |mut account: Visit| account.set_note("pen".to_owned())).await;
    assert_eq!(ids(&of(&app, "ada")).await, records([&one, &two]));
    assert_eq!(ids(&of(&app, "bob")).await, records([&other]));
    assert_eq!(ids(&of(&app, "\"ada\"")).await, BTreeSet::new());
    let listed = of(&app, "ada").list().await.expect("a listing");
    let notes: BTreeSet<_> = listed.iter().map(|session| session.fields().note.as_str()).collect();
    assert_eq!(notes, ["", "pen"].into());
    assert!(
        listed.iter().all(|session| !session.is_current() && session.created_at() <= session.last_used_at())
    );
    let from_handler = two.visit(async |account: Visit| {
        let listed = account.sessions().by_user("ada").list().await.expect("a listing");
        listed
            .iter()
            .filter(|session| session.is_current())
            .map(crate::find::SessionInfo::record_id)
            .collect::<Vec<_>>()
    });
    assert_eq!(from_handler.await, [record_of(&two)]);
}

/// A session is found by its present value, and not by the one before.
pub async fn a_listing_follows_a_change_and_a_removal(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let device = |name: &'static str| case(async move |mut account: Visit| account.set_device(name));
    let by_device = |name: &str| app.layer.sessions::<Account>().by_device(name);
    let browser = app.browser();
    browser.send(device("phone")).await;
    assert_eq!(ids(&by_device("phone")).await, records([&browser]));
    browser.send(device("tablet")).await;
    assert_eq!(ids(&by_device("phone")).await, BTreeSet::new());
    assert_eq!(ids(&by_device("tablet")).await, records([&browser]));
    browser.send(device("phone")).await;
    assert_eq!(ids(&by_device("phone")).await, records([&browser]), "an entry that was there before");
    browser.send(login("ada")).await;
    browser.send(login("bob")).await;
    assert_eq!(ids(&of(&app, "ada")).await, BTreeSet::new());
    assert_eq!(ids(&of(&app, "bob")).await, records([&browser]));
    browser.send(logout).await;
    assert_eq!(ids(&of(&app, "bob")).await, BTreeSet::new());
    assert_eq!(ids(&by_device("phone")).await, records([&browser]), "a logout keeps it");
    browser.visit(async |mut account: Visit| account.remove_device()).await;
    assert_eq!(ids(&by_device("phone")).await, BTreeSet::new());
}

/// A session that was ended, or has expired, is not found.
pub async fn what_is_over_is_not_found(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let (one, two) = (logged_in(&app, "ada").await, logged_in(&app, "ada").await);
    one.visit(async |account: Visit| account.destroy()).await;
    assert_eq!(ids(&of(&app, "ada")).await, records([&two]));
    app.raw.destroy(record_of(&two)).await.expect("the store answers");
    assert_eq!(ids(&of(&app, "ada")).await, BTreeSet::new(), "ended by another program");
    logged_in(&app, "ada").await;
    if env.can_move_time() {
        env.clock.advance(Duration::from_hours(26));
        assert_eq!(ids(&of(&app, "ada")).await, BTreeSet::new());
    }
}

/// A session in use is found for as long as it lives, and one without an entry gets it with its next use.
pub async fn a_use_keeps_the_entry(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    if !env.can_move_time() {
        return;
    }
    let browser = logged_in(&app, "ada").await;
    for _ in 0..5 {
        env.clock.advance(Duration::from_hours(20));
        assert_eq!(browser.visit(user).await, "ada");
        assert_eq!(ids(&of(&app, "ada")).await, records([&browser]));
    }
    let key = IndexKey::new("__Host-sid", "user", b"\"ada\"");
    let left = IndexChange::Leave(vec![(record_of(&browser), None)]);
    index(&app).change_index(key, left).await.expect("the store answers");
    assert_eq!(ids(&of(&app, "ada")).await, BTreeSet::new(), "the key is the one that the layer uses");
    env.clock.advance(Duration::from_hours(2));
    assert_eq!(browser.visit(user).await, "ada");
    assert_eq!(ids(&of(&app, "ada")).await, records([&browser]));
}

/// A handler ends all sessions of its user but its own.
pub async fn ending_the_others_keeps_the_current_one(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let (one, two, three) =
        (logged_in(&app, "ada").await, logged_in(&app, "ada").await, logged_in(&app, "ada").await);
    let other = logged_in(&app, "bob").await;
    let ended = two.visit(async |account: Visit| account.sessions().by_user("ada").revoke_others().await);
    assert_eq!(ended.await.expect("an end"), 2);
    for (browser, name) in [(&one, "-"), (&two, "ada"), (&three, "-"), (&other, "bob")] {
        assert_eq!(browser.visit(user).await, name);
    }
    assert_eq!(ids(&of(&app, "ada")).await, records([&two]));
    assert_eq!(two.send(login("ada")).await.status(), 200, "it goes on like any other");
}

/// All sessions of a user end, with an event each, and no other's.
pub async fn ending_all_ends_all(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let browsers = [logged_in(&app, "ada").await, logged_in(&app, "ada").await];
    let other = logged_in(&app, "bob").await;
    app.events();
    assert_eq!(of(&app, "ada").revoke_all().await.expect("an end"), 2);
    let told = app.events();
    for browser in &browsers {
        let id = record_of(browser).to_string();
        assert!(told.iter().any(|told| told.starts_with("Revoked") && told.contains(&id)), "{told:?}");
        assert_eq!(browser.visit(user).await, "-");
    }
    assert_eq!(other.visit(user).await, "bob");
    assert_eq!(ids(&of(&app, "ada")).await, BTreeSet::new());
    assert_eq!(of(&app, "ada").revoke_all().await.expect("an end"), 0);
    let admin = app.layer.admin_revoke(record_of(&other)).await;
    admin.expect("an end");
    assert_eq!(other.visit(user).await, "-");
}

/// One session is ended by its public id, and only by its own user.
pub async fn another_users_session_is_not_ended_by_its_id(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let (own, other) = (logged_in(&app, "ada").await, logged_in(&app, "bob").await);
    let ada = of(&app, "ada");
    assert!(!ada.revoke(record_of(&other)).await.expect("an answer"));
    assert!(!ada.revoke(RecordId::from_bytes([7; 16])).await.expect("an answer"));
    assert_eq!(other.visit(user).await, "bob");
    assert!(ada.revoke(record_of(&own)).await.expect("an answer"));
    assert!(!ada.revoke(record_of(&own)).await.expect("an answer"), "it is over");
    assert_eq!(own.visit(user).await, "-");
}

/// Logins that began before the end of all sessions are refused: those whose handlers still run, and those that the
/// store has got in part.
pub async fn logins_that_began_before_the_end_are_refused(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    // The view is known, so that the age of a request counts from its beginning.
    logged_in(&app, "ada").await;
    let gate = Gate::new();
    let mut browsers = Vec::new();
    for _ in 0..LOGINS / 2 {
        browsers.push(app.browser());
        browsers.push(app.visitor("v").await);
    }
    let slow: Vec<_> =
        browsers.iter().map(|browser| tokio::spawn(browser.send(gated(&gate, login("ada"))))).collect();
    for _ in 0..LOGINS {
        gate.arrived().await;
    }
    let operations = [
        (Operation::Create, false),
        (Operation::Create, true),
        (Operation::Commit, false),
        (Operation::Commit, true),
    ];
    let mut held = Vec::new();
    for (operation, is_done) in operations {
        let browser = if operation == Operation::Create { app.browser() } else { app.visitor("w").await };
        let there = if is_done { app.faults.hold_answer(operation) } else { app.faults.hold(operation) };
        let request = tokio::spawn(browser.send(login("ada")));
        there.arrived().await;
        browsers.push(browser);
        held.push((there, request));
    }
    env.clock.advance(Duration::from_millis(1));
    of(&app, "ada").revoke_all().await.expect("an end");
    env.clock.advance(Duration::from_millis(1));
    for _ in 0..LOGINS {
        gate.release();
    }
    let mut requests = slow;
    for (there, request) in held {
        there.release();
        requests.push(request);
    }
    for request in requests {
        let response = request.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0));
    }
    assert_eq!(ids(&of(&app, "ada")).await, BTreeSet::new());
    for browser in &browsers {
        assert_eq!(browser.visit(user).await, "-");
    }
    logged_in(&app, "ada").await;
    assert_eq!(ids(&of(&app, "ada")).await.len(), 1, "one that began after it");
}

/// A request that ends the other sessions and logs in itself is logged in, unless another request ended them since it
/// began.
pub async fn a_login_beside_its_own_end_of_the_others(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let old = logged_in(&app, "ada").await;
    let end_and_log_in = async |mut account: Visit| {
        account.sessions().by_user("ada").revoke_others().await?;
        account.set_user("ada");
        Ok::<_, Error>(StatusCode::OK)
    };
    let browser = app.browser();
    assert_eq!(browser.send(end_and_log_in).await.status(), 200);
    assert_eq!((old.visit(user).await.as_str(), browser.visit(user).await.as_str()), ("-", "ada"));
    let gate = Gate::new();
    let late = app.browser();
    let request = tokio::spawn(late.send(gated(&gate, end_and_log_in)));
    gate.arrived().await;
    next_moment(&env, &app).await;
    of(&app, "ada").revoke_all().await.expect("an end");
    next_moment(&env, &app).await;
    gate.release();
    assert_eq!(request.await.expect("an answer").status(), 409);
    assert_eq!(late.visit(user).await, "-");
}

/// Of many logins at once, no more than the limit are alive, whether the others are refused or take the place of older
/// ones.
pub async fn a_limit_holds_under_logins_at_once(env: TestEnvironment) {
    for (limit, most_refused) in [(LoginLimit::refuse(3), LOGINS - 3), (LoginLimit::evict_oldest(3), 0)] {
        let Some(app) = indexed_with(&env, |layer| layer.with_login_limit(limit)).await else { return };
        let name = if most_refused == 0 { "ada" } else { "bob" };
        let other = logged_in(&app, "eve").await;
        let browsers: Vec<_> = (0..LOGINS).map(|_| app.browser()).collect();
        let responses = at_once(browsers.iter().map(|browser| browser.send(login(name)))).await;
        let refused = responses.iter().filter(|response| response.status() == 409).count();
        assert_eq!(refused, most_refused, "{limit:?}");
        let mut alive = 0;
        for browser in &browsers {
            alive += usize::from(browser.visit(user).await == name);
        }
        assert_eq!((alive, ids(&of(&app, name)).await.len()), (3, 3), "{limit:?}");
        assert_eq!(other.visit(user).await, "eve");
    }
}

/// A limit counts the sessions that live: a logout, an end and the passing of time make room. The event and the error
/// say what was refused.
pub async fn a_limit_counts_what_lives(env: TestEnvironment) {
    let Some(app) = indexed_with(&env, |layer| layer.with_login_limit(LoginLimit::refuse(2))).await else {
        return;
    };
    let (one, two) = (logged_in(&app, "ada").await, logged_in(&app, "ada").await);
    assert_eq!(one.send(login("ada")).await.status(), 200, "it has its place");
    app.events();
    let third = app.browser();
    let kind = third.visit(async |mut account: Visit| {
        account.set_user("ada");
        let refused = account.save().await.expect_err("a third session");
        account.discard_changes();
        refused.kind()
    });
    assert_eq!(kind.await, ErrorKind::SessionLimit);
    let told = app.events().concat();
    assert!(told.contains("SessionLimit") && told.contains("LoginLimit::evict_oldest(2)"), "{told}");
    one.send(logout).await;
    assert_eq!(third.send(login("ada")).await.status(), 200);
    assert_eq!(one.send(login("ada")).await.status(), 409);
    app.raw.destroy(record_of(&two)).await.expect("the store answers");
    assert_eq!(one.send(login("ada")).await.status(), 200);
    if env.can_move_time() {
        env.clock.advance(Duration::from_hours(26));
        for _ in 0..2 {
            logged_in(&app, "ada").await;
        }
        assert_eq!(app.browser().send(login("ada")).await.status(), 409);
    }
}

/// The session whose login is the oldest makes room.
pub async fn the_oldest_login_makes_room(env: TestEnvironment) {
    let limit = LoginLimit::evict_oldest(2);
    let Some(app) = indexed_with(&env, |layer| layer.with_login_limit(limit)).await else { return };
    let one = logged_in(&app, "ada").await;
    next_moment(&env, &app).await;
    let two = logged_in(&app, "ada").await;
    next_moment(&env, &app).await;
    app.events();
    let three = logged_in(&app, "ada").await;
    let told = app.events().concat();
    assert!(told.contains("Evicted") && told.contains(&record_of(&one).to_string()), "{told}");
    for (browser, name) in [(&one, "-"), (&two, "ada"), (&three, "ada")] {
        assert_eq!(browser.visit(user).await, name);
    }
}

/// A login that the store refuses leaves no entry, and one of unknown outcome no session that is not found.
pub async fn a_failed_login_is_found_if_it_lives(env: TestEnvironment) {
    let Some(app) = indexed_with(&env, |layer| layer.with_login_limit(LoginLimit::refuse(1))).await else {
        return;
    };
    let browser = app.browser();
    app.faults.fail(Operation::Create, 1);
    assert_eq!(browser.send(login("ada")).await.status(), 503);
    app.faults.fail(Operation::ChangeIndex, 1);
    assert_eq!(browser.send(login("ada")).await.status(), 503);
    assert_eq!(app.calls.count(Operation::Create), 1, "the entry comes first");
    assert_eq!(browser.send(login("ada")).await.status(), 200, "neither has taken the place");
    assert_eq!(ids(&of(&app, "ada")).await, records([&browser]));
    app.faults.lose_answer(Operation::Create);
    assert_eq!(app.browser().send(login("bob")).await.status(), 503);
    assert_eq!(ids(&of(&app, "bob")).await.len(), 1, "it was created");
}

fn index(app: &TestApp) -> &dyn IndexStore {
    app.raw.index().expect("the store has an index")
}

/// A row changes as [`IndexRow::apply`] says, whatever the order of changes.
pub async fn a_row_does_what_the_rules_say(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    if !env.can_move_time() {
        return;
    }
    let (key, mut row) = (IndexKey::from_bytes([3; 32]), IndexRow::default());
    let seconds = Duration::from_secs;
    let mut own = None;
    // A sequence without a pattern, the same in each run.
    let mut state = 12_345_u32;
    let mut draw = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut seen = BTreeSet::new();
    for step in 0..400_u32 {
        env.clock.advance(Duration::from_millis(u64::from(draw(1500))));
        let now = crate::Clock::now(&env.clock);
        let id = RecordId::from_bytes([u8::try_from(draw(6)).unwrap_or(0) | 0x80; 16]);
        let stamp =
            IndexStamp::from_bytes([step.to_be_bytes(), [0xff; 4]].concat().try_into().unwrap_or([0; 8]));
        let keep_for = seconds(u64::from(1 + draw(20)));
        let change = match draw(12) {
            0..5 => IndexChange::Reserve(Reservation {
                id,
                stamp,
                keep_for,
                hold_for: seconds(5),
                age: Duration::from_millis(u64::from(draw(4000))),
                most: [None, Some(2), Some(3)][draw(3) as usize],
                own: if draw(2) == 0 { own } else { None },
            }),
            5..9 => IndexChange::Confirm(Confirmation {
                id,
                stamp,
                keep_for,
                began: (draw(2) == 0)
                    .then(|| now.saturating_sub(Duration::from_millis(u64::from(draw(4000))))),
                own: if draw(2) == 0 { own } else { None },
                needs_entry: draw(2) == 0,
            }),
            9 => {
                let known = row.entries.iter().find(|entry| entry.id == id).map(|entry| entry.stamp);
                let other = RecordId::from_bytes([0x81; 16]);
                IndexChange::Leave(vec![
                    (id, [None, known, Some(stamp)][draw(3) as usize]),
                    (other, Some(stamp)),
                ])
            }
            10 => IndexChange::Forbid,
            _ => IndexChange::List,
        };
        if change == IndexChange::Forbid {
            own = Some(now);
        }
        let expected = row.apply(&change, now);
        let mut outcome = index(&app).change_index(key, change.clone()).await.expect("the store answers");
        outcome.entries.sort_by_key(|entry| entry.id);
        let mut sorted = expected.clone();
        sorted.entries.sort_by_key(|entry| entry.id);
        assert_eq!(outcome, sorted, "{step}: {change:?}");
        seen.insert(format!("{:?}", outcome.status));
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    let other = index(&app).change_index(IndexKey::from_bytes([4; 32]), IndexChange::List).await;
    assert_eq!(other.expect("the store answers").entries, [], "another row");
}

/// A record is deleted on a condition only if it meets it.
pub async fn a_record_is_destroyed_if_its_field_has_the_value(env: TestEnvironment) {
    let Some(app) = indexed(&env).await else { return };
    let id = RecordId::from_bytes([9; 16]);
    let fields: Fields = [("uid", "1"), ("user", "2")]
        .into_iter()
        .map(|(name, value)| (FieldName::from(name), Bytes::from_static(value.as_bytes())))
        .collect();
    let new = NewRecord::new(Credentials::from_bytes(vec![5; 64]), Timeouts::default()).with_fields(fields);
    app.raw.create(id, new).await.expect("the store answers");
    let condition = |names: &[&'static str], value: &'static str| {
        let names = names.iter().map(|name| FieldName::from_static(name)).collect();
        FieldCondition::new(names, Bytes::from_static(value.as_bytes()))
    };
    for (names, value) in
        [(&["user"][..], "1"), (&["user", "uid"], "1"), (&["none"], "1"), (&[], "1"), (&["user"], "")]
    {
        let ended = index(&app).destroy_if(id, condition(names, value)).await;
        assert!(!ended.expect("the store answers"), "{names:?} {value}");
    }
    let commit = crate::store::Commit::new(0, Timeouts::default()).with_touch(true);
    let alive = app.raw.commit(id, commit).await.expect("the store answers");
    assert_eq!(alive, CommitOutcome::Applied(Vec::new()));
    let ended = index(&app).destroy_if(id, condition(&["none", "user", "uid"], "2")).await;
    assert!(ended.expect("the store answers"));
    assert!(app.raw.load(id, &[]).await.expect("the store answers").is_none());
    let again = index(&app).destroy_if(id, condition(&["user"], "2")).await;
    assert!(!again.expect("the store answers"));
    let outcome = index(&app).change_index(IndexKey::from_bytes([1; 32]), IndexChange::List).await;
    assert_eq!(outcome.expect("the store answers").status, IndexStatus::Done);
}
