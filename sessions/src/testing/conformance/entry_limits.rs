//! The limit on the entries of a collection, and what is told of them.

use std::collections::BTreeMap;

use super::{
    super::{Client, Operation},
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    handler::{Case, case},
};
use crate::{Session, TypedSession};

/// A visitor with collections.
#[derive(Session)]
struct Collector {
    #[session(identity)]
    user: Option<String>,
    #[session(merge = "entries", keep_on_logout)]
    cart: BTreeMap<String, u32>,
    #[session(merge = "entries")]
    notes: BTreeMap<String, String>,
    #[session(merge = "append", keep_last = 10)]
    pages: Vec<u32>,
    #[session(merge = "add")]
    count: u32,
}

type Visit = TypedSession<Collector>;

async fn sizes(session: Visit) -> (usize, usize, u32) {
    (session.cart().len(), session.notes().len(), session.count())
}

/// Puts so many entries into the cart, from a number on.
fn put(from: u32, many: u32) -> Case<Visit> {
    case(async move |mut session: Visit| {
        session.add_count(1);
        session.cart_mut().extend((from..from + many).map(|number| (format!("key-{number}"), number)));
    })
}

async fn status(browser: &Client, handler: Case<Visit>) -> u16 {
    browser.send(handler).await.status().as_u16()
}

/// A commit that adds too many entries is refused as a whole, and one event names the collection. What is stored stays,
/// also beyond the limit: it is read, changed, and made smaller.
pub async fn too_many_entries_are_refused_and_nothing_is_lost(env: TestEnvironment) {
    let app = env.app_with(|layer| layer.with_max_entries(20)).await;
    let new = app.browser();
    assert_eq!((status(&new, put(0, 21)).await, new.cookie(COOKIE)), (500, None));
    let browser = app.browser();
    assert_eq!(status(&browser, put(0, 20)).await, 200);
    app.events();
    assert_eq!(status(&browser, put(100, 1)).await, 500);
    let events = app.events();
    let [event] = &events[..] else { panic!("one event, not {events:?}") };
    assert!(
        event.starts_with("CommitFailed") && event.contains("`cart` would have more than 20 entries"),
        "{event}"
    );
    let saved = async |mut session: Visit| {
        session.cart_mut().insert("one-more".to_owned(), 1);
        session.save().await.expect_err("too many").to_string()
    };
    let refused = browser.send(saved).await;
    assert!(refused.text().contains("`cart` would have more than 20 entries"), "{}", refused.text());
    assert_eq!(browser.visit(sizes).await, (20, 0, 1), "nothing of these requests is written");

    // Another collection, the same entries again, and one in the place of another.
    let others = async |mut session: Visit| {
        session.notes_mut().extend((0..20).map(|number| (number.to_string(), String::new())));
        session.cart_mut().extend((0..20).map(|number| (format!("key-{number}"), number + 1)));
    };
    assert_eq!(status(&browser, case(others)).await, 200);
    let in_place = async |mut session: Visit| {
        session.cart_mut().remove("key-0");
        session.cart_mut().insert("other".to_owned(), 1);
    };
    assert_eq!(status(&browser, case(in_place)).await, 200);

    let strict = env.app_with(|layer| layer.with_max_entries(5)).await;
    let beyond = browser.at(&strict.browser());
    assert_eq!(beyond.visit(sizes).await, (20, 20, 1));
    assert_eq!(status(&beyond, put(200, 1)).await, 500);
    let smaller = async |mut session: Visit| {
        session.cart_mut().retain(|_, number| *number > 10);
        session.cart_mut().insert("new".to_owned(), 9);
    };
    assert_eq!(status(&beyond, case(smaller)).await, 200, "fewer than before");
    let (left, notes, count) = beyond.visit(sizes).await;
    assert_eq!((left, notes, count), (11, 20, 1));
    let login = async |mut session: Visit| session.set_user("ada");
    let logout = async |mut session: Visit| session.remove_user();
    assert_eq!([status(&beyond, case(login)).await, status(&beyond, case(logout)).await], [200, 200]);
    assert_eq!(beyond.visit(sizes).await, (11, 0, 0), "the cart is the browser's");
    let clear = async |session: Visit| session.clear();
    assert_eq!(status(&beyond, case(clear)).await, 200);
    assert_eq!(beyond.visit(sizes).await, (0, 0, 0));
}

/// No event and no answer shows a key: they name the collection, each once.
pub async fn events_name_collections_and_never_keys(env: TestEnvironment) {
    const KEY: &str = "ada@example.org";
    const PLAIN: [&str; 2] = ["ada%40", "ada@"];
    async fn told(app: &TestApp, browser: &Client, handler: Case<Visit>) -> Vec<String> {
        app.events();
        let response = browser.send(handler).await;
        let answer = format!("{:?} {}", response.headers(), response.text());
        let mut told = app.events();
        told.push(answer);
        for line in &told {
            assert!(PLAIN.iter().all(|key| !line.to_lowercase().contains(key)), "{line}");
        }
        told
    }
    fn add(session: &mut Visit, many: u32) {
        session.cart_mut().insert(KEY.to_owned(), 1);
        session.notes_mut().extend((0..many).map(|number| (format!("{KEY}{number}"), "x".repeat(50))));
    }
    let app = env.app_with(|layer| layer.with_max_entries(20).with_size_limits(100, 4000)).await;
    let browser = app.browser();
    browser.visit(async |mut session: Visit| add(&mut session, 3)).await;
    let id = record_of(&browser);

    let too_many = told(&app, &browser, case(async |mut session: Visit| add(&mut session, 30))).await;
    assert!(
        too_many.iter().any(|line| line.contains("`notes` would have more than 20 entries")),
        "{too_many:?}"
    );
    let too_large = async |mut session: Visit| {
        session.notes_mut().insert(KEY.to_owned(), "x".repeat(101));
    };
    let too_large = told(&app, &browser, case(too_large)).await;
    assert!(too_large.iter().any(|line| line.contains("`notes` takes more than 100 bytes")), "{too_large:?}");
    let dropped = async |mut session: Visit| {
        add(&mut session, 5);
        session.destroy();
    };
    let again = app.browser();
    again.visit(async |mut session: Visit| session.set_user("ada")).await;
    let lost = async |mut session: Visit| {
        add(&mut session, 5);
        session.remove_user();
    };
    let lost = told(&app, &again, case(lost)).await;
    assert!(lost.iter().any(|line| line.contains("ChangesDropped") && line.contains("`notes`")), "{lost:?}");
    assert!(lost.iter().all(|line| line.matches("`notes`").count() <= 1), "each once: {lost:?}");
    for operation in [Operation::Load, Operation::Commit] {
        app.faults.fail(operation, 1);
        told(&app, &browser, case(async |mut session: Visit| add(&mut session, 4))).await;
    }

    // Entries that another program wrote, and that do not decode.
    let broken = async |session: Visit| format!("{:?}", session.notes().len());
    let commit = |value: &str| {
        let mut delta = crate::delta::Delta::new();
        let value = bytes::Bytes::copy_from_slice(value.as_bytes());
        delta
            .push("notes[ada%40example%2Eorg0]".into(), crate::delta::Op::Put(value), None)
            .expect("one operation");
        crate::store::Commit::new(0, super::contract::TIMEOUTS).with_delta(delta)
    };
    app.raw.commit(id, commit("17")).await.expect("an answer");
    let broken = told(&app, &browser, case(broken)).await;
    assert!(
        broken.iter().any(|line| line.contains("UndecodableField") && line.contains("`notes`")),
        "{broken:?}"
    );
    told(&app, &browser, case(dropped)).await;
}
