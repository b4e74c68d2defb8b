//! Writing without a load: one commit that the secret in the cookie must fit.

use std::time::Duration;

use http::StatusCode;

use super::{
    super::{Call, Client, Gate, Operation},
    contract::{Direct, TIMEOUTS, json, random_id},
    environment::{COOKIE, TestApp, TestEnvironment, at_once, record_of},
    handler::{case, gated},
};
use crate::{
    Session, SessionWriter, Timeouts, TypedSession,
    delta::{Delta, Op},
    store::{Commit, CommitOutcome, NewRecord, PresentedSecret},
    value::{Authority, Lifetime, RecordId, Secret, SecretHash, Token},
};

#[derive(Session)]
#[session(writer)]
struct Written {
    #[session(identity)]
    user: Option<String>,
    name: Option<String>,
    theme: String,
    #[session(merge = "add", default = 10)]
    hits: u32,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "min")]
    least: Option<i64>,
    #[session(merge = "first")]
    origin: Option<String>,
    #[session(alias = "old_color")]
    color: Option<String>,
    #[flash]
    notice: Option<String>,
}

type Visit = TypedSession<Written>;
type Writer = SessionWriter<Written>;

/// Returns user, name, theme, hits, best, least, origin and color.
async fn read(visit: Visit) -> String {
    let (user, name, theme) = (visit.user().unwrap_or("-"), visit.name().unwrap_or("-"), visit.theme());
    let (hits, best, least) = (visit.hits(), visit.best(), visit.least());
    let (origin, color) = (visit.origin().unwrap_or("-"), visit.color().unwrap_or("-"));
    format!("{user} {name} {theme} {hits} {best:?} {least:?} {origin} {color}")
}

async fn set_name(mut writer: Writer) {
    writer.set_name("Ada");
}

async fn hit(mut writer: Writer) -> &'static str {
    writer.add_hits(1);
    "the page"
}

async fn log_in(mut visit: Visit) {
    visit.set_user("ada");
}

async fn destroy(visit: Visit) {
    visit.destroy();
}

async fn rotate(visit: Visit) {
    visit.rotate();
}

/// Returns a browser that has come back to a session with a theme, and forgets the calls that this took.
async fn visitor(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.visit(async |mut visit: Visit| visit.set_theme("dark")).await;
    browser.visit(read).await;
    app.calls.clear();
    app.events();
    browser
}

/// A writer sends one commit and loads nothing. What other fields hold stays.
pub async fn a_writer_is_one_commit_without_a_load(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let write_all = async |mut writer: Writer| {
        writer.set_name("Ada");
        writer.add_hits(2);
        writer.add_hits(3);
        writer.set_best(7);
        writer.set_least(7);
        writer.set_origin("here");
        writer.set_color("red");
        writer.flash_notice("saved");
    };
    let response = browser.send_post(write_all).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0));
    let calls = app.calls();
    assert!(matches!(&calls[..], [Call::Commit { changes, .. }] if changes.len() == 8), "{calls:?}");
    assert_eq!(browser.visit(read).await, "- Ada dark 15 Some(7) Some(7) here red");
    let take = async |mut visit: Visit| visit.take_notice();
    assert_eq!(browser.visit(take).await.as_deref(), Some("saved"));
    // The merge of each field counts, though no request has read it.
    let write_again = async |mut writer: Writer| {
        writer.set_best(3);
        writer.set_least(3);
        writer.set_origin("there");
        writer.remove_name();
        writer.reset_theme();
    };
    assert_eq!(browser.send_post(write_again).await.status(), 200);
    assert_eq!(browser.visit(read).await, "- -  15 Some(7) Some(3) here red");
    // A value that equals the default is written, too: what is stored may be another one.
    let write_default = async |mut writer: Writer| {
        writer.set_hits(10);
        writer.set_theme("");
    };
    assert_eq!(browser.send_post(write_default).await.status(), 200);
    assert_eq!(browser.visit(read).await, "- -  10 Some(7) Some(3) here red");
    // A writer that changes nothing sends nothing.
    app.calls.clear();
    browser.send_post(async |_: Writer| ()).await;
    assert_eq!(app.calls(), []);
    assert_eq!(app.events(), [""; 0]);
}

/// Writers of one session at once lose nothing.
pub async fn many_writers_lose_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let responses = at_once((0..32).map(|_| browser.send(hit))).await;
    assert!(responses.iter().all(|response| response.status() == 200));
    assert_eq!(browser.visit(async |visit: Visit| visit.hits()).await, 42);
}

/// A writer without a cookie begins a session; one that the response dropped writes nothing.
pub async fn a_writer_begins_a_session_as_others_do(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let fails = async |mut writer: Writer| {
        writer.set_name("Ada");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    assert!(browser.send(fails).await.set_cookies().is_empty());
    assert_eq!(app.calls(), []);
    assert_eq!(browser.send_post(set_name).await.set_cookies().len(), 1);
    assert!(matches!(app.calls()[..], [Call::Create { .. }]));
    assert_eq!(browser.visit(read).await, "- Ada  10 None None - -");
    app.calls.clear();
    browser.send(fails).await;
    assert_eq!(app.calls(), []);
    // A default value begins none.
    let default = app.browser();
    assert!(default.send_post(async |mut writer: Writer| writer.set_hits(10)).await.set_cookies().is_empty());
}

/// A session that is over, of another secret, or unknown is not written, and none begins in its place.
pub async fn a_writer_has_no_say_without_the_secret(env: TestEnvironment) {
    let app = env.app().await;
    for what in ["destroyed", "unknown", "forged", "rotated", "logged in"] {
        let browser = visitor(&app).await;
        let (id, old) = (record_of(&browser), browser.clone_jar());
        match what {
            "destroyed" => browser.visit(destroy).await,
            "unknown" => app.raw.destroy(id).await.expect("the store answers"),
            "forged" => {
                let token = Token::new(id, Secret::from_bytes([9; 32]));
                old.remove_cookie(COOKIE);
                old.set_cookie_raw(COOKIE, &token.expose());
            }
            "rotated" => browser.visit(rotate).await,
            _ => browser.visit(log_in).await,
        }
        app.events();
        app.calls.clear();
        let before = app.load(id, &["name", "hits"]).await.map(|loaded| (loaded.fields, loaded.touched));
        let response = old.send_post(set_name).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0), "{what}");
        assert!(app.events().iter().any(|event| event.starts_with("Conflict")), "{what}");
        let response = old.send(hit).await;
        let answer = (response.status().as_u16(), response.text(), response.set_cookies().len());
        assert_eq!(answer, (200, "the page", 0), "{what}");
        assert!(app.events().iter().any(|event| event.starts_with("Conflict")), "{what}");
        assert_eq!(app.calls.count(Operation::Create), 0, "{what}");
        let after = app.load(id, &["name", "hits"]).await.map(|loaded| (loaded.fields, loaded.touched));
        assert_eq!(before, after, "{what}");
    }
}

/// A session that ends or gets another secret while the handler runs is not written.
pub async fn what_ends_beside_a_writer_stays_over(env: TestEnvironment) {
    let app = env.app().await;
    for (what, meanwhile) in
        [("ended", case(destroy)), ("rotated", case(rotate)), ("logged in", case(log_in))]
    {
        let (browser, gate) = (visitor(&app).await, Gate::new());
        let slow = tokio::spawn(browser.clone_jar().send_post(gated(&gate, set_name)));
        gate.arrived().await;
        assert_eq!(browser.send(meanwhile).await.status(), 200);
        gate.release();
        let response = slow.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0), "{what}");
        assert!(!browser.visit(async |visit: Visit| visit.name().is_some()).await, "{what}");
    }
}

/// A secret that a renewal leads from or to is as good for a writer as for a request that loads.
pub async fn a_renewal_is_no_end_for_a_writer(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let hour = Duration::from_hours(1);
    let app = env.app_with(|layer| layer.with_timeouts(Timeouts::default().with_renewal(hour))).await;
    let browser = app.browser();
    browser.visit(log_in).await;
    env.clock.advance(hour);
    let old = browser.clone_jar();
    assert_eq!(browser.send(read).await.set_cookies().len(), 1, "a renewal has begun");
    assert_eq!(old.clone_jar().send_post(hit).await.status(), 200, "from the old secret");
    assert_eq!(browser.send_post(hit).await.status(), 200, "to the new one, seen for the first time");
    assert_eq!(browser.send_post(hit).await.status(), 200, "to the present one");
    assert_eq!(old.clone_jar().send_post(hit).await.status(), 200, "from the old one, a moment ago");
    env.clock.advance(Duration::from_secs(11));
    assert_eq!(old.send_post(hit).await.status(), 409, "from the old one, long ago");
    assert_eq!(browser.visit(async |visit: Visit| visit.hits()).await, 14);
}

const fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

/// A writer uses the session: it lives on. Each kind of session is judged by its own times, and by its own lifetime.
pub async fn a_writer_revives_nothing_and_keeps_alive(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(hours(4), hours(100))
        .with_visitors(hours(2), hours(50))
        .with_remembered(hours(8), hours(200));
    let app = env.app_with(|layer| layer.with_timeouts(timeouts)).await;
    let log_in_remembered = async |mut visit: Visit| {
        visit.remember(true);
        visit.set_user("ada");
    };
    let log_in_for_an_hour = async |mut visit: Visit| {
        visit.limit_lifetime(hours(1), hours(100));
        visit.set_user("ada");
    };
    for (what, begins, lives) in [
        ("a visitor", case(async |mut visit: Visit| visit.set_theme("dark")), 2),
        ("a user", case(log_in), 4),
        ("a remembered user", case(log_in_remembered), 8),
        ("a user of an hour", case(log_in_for_an_hour), 1),
    ] {
        let browser = app.browser();
        browser.send(begins).await;
        browser.visit(read).await;
        let idle = hours(lives);
        for _ in 0..3 {
            env.clock.advance(idle.saturating_sub(Duration::from_mins(10)));
            assert_eq!(browser.send_post(hit).await.status(), 200, "{what}");
        }
        // The touch window is over, too.
        env.clock.advance(idle + hours(1) + Duration::from_mins(10));
        assert_eq!(browser.send_post(hit).await.status(), 409, "{what}");
        let quiet = async |mut writer: Writer| {
            writer.without_touch();
            writer.set_name("x");
        };
        assert_eq!(browser.send_post(quiet).await.status(), 409, "{what}");
        assert_eq!(browser.visit(read).await, "- -  10 None None - -", "{what}");
    }
    // A use that is none keeps nothing alive.
    let browser = visitor(&app).await;
    env.clock.advance(hours(1));
    let quiet = async |mut writer: Writer| {
        writer.without_touch();
        writer.set_name("x");
    };
    assert_eq!(browser.send_post(quiet).await.status(), 200);
    env.clock.advance(hours(2) + Duration::from_mins(10));
    assert_eq!(browser.send_post(quiet).await.status(), 409);
}

/// Beside a session that loads, a writer is like one more view of it.
pub async fn a_writer_beside_a_session_is_one_more_view(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let both = async |mut writer: Writer, mut visit: Visit| {
        writer.set_name("Ada");
        visit.add_hits(1);
        drop(writer);
        visit.set_color("red");
    };
    browser.visit(both).await;
    let calls = app.calls();
    assert!(matches!(&calls[..], [Call::Load { .. }, Call::Commit { .. }]), "{calls:?}");
    assert_eq!(browser.visit(read).await, "- Ada dark 11 None None - red");
    // Two writers of one field: the last one counts.
    app.calls.clear();
    let two = async |mut first: Writer, mut second: Writer| {
        first.set_name("Eve");
        second.remove_name();
    };
    browser.visit(two).await;
    assert_eq!(browser.visit(read).await, "- - dark 11 None None - red");
}

/// The store compares the hash of the secret, the kind of session and its own lifetime in the same operation.
pub async fn a_blind_commit_is_judged_by_the_credentials(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let mut visitor = Authority::new(SecretHash::from_bytes([7; 32]));
    let mut user = visitor.clone();
    user.rights = vec!["user".into()];
    visitor.is_remembered = Some(false);
    let mut short = visitor.clone();
    short.lifetime = Some(Lifetime { idle: Duration::from_hours(1), absolute: Duration::from_hours(1) });
    let blind = |hash: [u8; 32]| {
        let mut delta = Delta::new();
        delta.push("a".into(), Op::Put(json("2")), None).expect("a put");
        Commit::blind(PresentedSecret::from_hash(hash), TIMEOUTS).with_delta(delta)
    };
    let applied = CommitOutcome::Applied(Vec::new());
    let mut other_tail = [7; 32];
    other_tail[31] = 8;
    for (what, authority, hash, expected) in [
        ("a visitor's", &visitor, [7; 32], &applied),
        ("a user's", &user, [7; 32], &applied),
        ("another secret", &user, [8; 32], &CommitOutcome::CredentialsChanged),
        ("a secret whose hash ends otherwise", &visitor, other_tail, &CommitOutcome::CredentialsChanged),
        ("a lifetime of its own", &short, [7; 32], &CommitOutcome::CredentialsChanged),
    ] {
        let id = random_id();
        let new = NewRecord::new(authority.credentials(), TIMEOUTS)
            .with_fields([("a".into(), json("1"))].into_iter().collect());
        direct.raw.create(id, new).await.expect("an answer");
        let outcome = direct.raw.commit(id, blind(hash)).await.expect("an answer");
        assert_eq!(outcome, *expected, "{what}");
        let loaded = direct.load(id, &["a"]).await.expect("the record");
        let value = if *expected == applied { "2" } else { "1" };
        assert_eq!(loaded.fields.get("a"), Some(&json(value)), "{what}");
        assert_eq!(loaded.credentials, authority.credentials(), "{what}");
    }
    let unknown: RecordId = random_id();
    let outcome = direct.raw.commit(unknown, blind([7; 32])).await.expect("an answer");
    assert_eq!(outcome, CommitOutcome::NotFound);
    assert!(direct.load(unknown, &["a"]).await.is_none());
}
