//! Lists of which each item is merged by itself, and lists of flashes.

use super::{
    super::Gate,
    environment::{TestEnvironment, record_of},
    handler::{TestHandler, gated},
    instances::{all_at_once, two_apps},
};
use crate::{Session, TypedSession};
use http::Request;

/// A visitor with a history.
#[derive(Session)]
struct History {
    #[session(merge = "append")]
    pages: Vec<String>,
    #[session(merge = "append", keep_last = 3)]
    searches: Vec<u64>,
    #[flash]
    notices: Vec<String>,
    note: Option<String>,
}

/// The history before its list had items.
#[derive(Session)]
struct OlderHistory {
    #[session(merge = "last")]
    pages: Vec<String>,
    #[flash]
    notices: Option<String>,
}

type Visit = TypedSession<History>;
type OlderVisit = TypedSession<OlderHistory>;

/// A number of requests that meet.
const MANY: usize = 16;

async fn pages(session: Visit) -> String {
    session.pages().join(" ")
}

fn push(pages: &'static [&'static str]) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| {
        for page in pages {
            session.pages_mut().push((*page).to_owned());
        }
    }
}

fn flash(notice: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.flash_notices(notice)
}

async fn take(mut session: Visit) -> String {
    session.take_notices().join(" ")
}

async fn peek(session: Visit) -> String {
    session.notices().join(" ")
}

/// What requests push at once all stays: behind what they had seen, each request's own in its order, and in one order
/// for every reader.
pub async fn items_pushed_at_once_all_stay_in_order(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for round in 0..10 {
        browser.visit(async |mut session: Visit| session.set_pages(vec!["first".into()])).await;
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
            session.pages_mut().push(format!("{index}-a"));
            session.pages_mut().push(format!("{index}-b"));
        })
        .await;
        let (one, other) = (browser.visit(pages).await, browser.at(&apps[1].browser()).visit(pages).await);
        assert_eq!(one, other);
        let items: Vec<_> = one.split(' ').collect();
        assert_eq!((items.len(), items[0]), (1 + 2 * MANY, "first"), "in round {round}");
        let place = |text: String| items.iter().position(|item| *item == text).expect("an item");
        for index in 0..MANY {
            assert!(place(format!("{index}-a")) < place(format!("{index}-b")), "{one}");
        }
    }
}

/// Any other edit removes the items that the request has seen and are gone, and leaves what was pushed meanwhile.
pub async fn other_edits_are_about_what_was_seen(env: TestEnvironment) {
    type Step = fn(&mut Visit);
    let apps = two_apps(&env).await;
    let cases: [(Step, &str); 6] = [
        (|session| session.pages_mut().retain(|page| page != "b"), "a c new"),
        (|session| session.pages_mut()[1] = "B".into(), "a new B c"),
        (|session| session.pages_mut().sort_by(|one, other| other.cmp(one)), "c new b a"),
        (|session| session.set_pages(vec!["x".into()]), "new x"),
        (
            |session| {
                session.reset_pages();
            },
            "new",
        ),
        (|session| session.set_pages(session.pages().to_vec()), "a b c new"),
    ];
    for (step, expected) in cases {
        let (browser, gate) = (apps[0].browser(), Gate::new());
        browser.visit(push(&["a", "b", "c"])).await;
        let slow =
            tokio::spawn(browser.send(gated(&gate, async move |mut session: Visit| step(&mut session))));
        gate.arrived().await;
        browser.at(&apps[1].browser()).visit(push(&["new"])).await;
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 200);
        let left = browser.visit(pages).await;
        let sorted = |text: &str| {
            let mut items: Vec<_> = text.split(' ').map(str::to_owned).collect();
            items.sort();
            items
        };
        // The request's own are pushed at the same time as the other's, so either may be first.
        let new_is_last = left.split(' ').filter(|item| *item != "new").collect::<Vec<_>>();
        let expected_rest = expected.split(' ').filter(|item| *item != "new").collect::<Vec<_>>();
        assert_eq!((sorted(&left), new_is_last), (sorted(expected), expected_rest));
    }
}

/// Two requests that remove the same item, and leave the others, do not double them.
pub async fn the_same_removal_twice_is_one(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].browser();
    browser.visit(push(&["a", "b", "c"])).await;
    all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |_, session| {
        session.pages_mut().retain(|page| page != "b");
    })
    .await;
    assert_eq!(browser.visit(pages).await, "a c");
}

/// The last items stay, and an event says that the oldest went.
pub async fn the_last_items_stay(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let search = |numbers: std::ops::Range<u64>| {
        async move |mut session: Visit| session.searches_mut().extend(numbers)
    };
    let searches = async |session: Visit| session.searches().to_vec();
    browser.visit(search(0..3)).await;
    assert_eq!(browser.visit(searches).await, [0, 1, 2]);
    app.events();
    browser.visit(search(3..5)).await;
    let events = app.events().concat();
    assert!(events.contains("ItemsTrimmed") && events.contains("count: 2"), "{events}");
    assert_eq!(browser.visit(searches).await, [2, 3, 4]);
    browser.visit(search(10..20)).await;
    assert_eq!(browser.visit(searches).await, [17, 18, 19]);
    let many = async |mut session: Visit| session.pages_mut().extend((0..150).map(|page| page.to_string()));
    browser.visit(many).await;
    let count = async |session: Visit| (session.pages().len(), session.pages()[0].clone());
    assert_eq!(browser.visit(count).await, (100, "50".to_owned()));
}

/// A list of an older program is shown, and becomes items with the first change.
pub async fn a_list_of_an_older_program_becomes_items(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let older = async |mut session: OlderVisit| {
        session.set_pages(vec!["a".into(), "b".into()]);
        session.flash_notices("saved");
    };
    browser.visit(older).await;
    assert_eq!(browser.visit(pages).await, "a b");
    browser.visit(push(&["c"])).await;
    let id = record_of(&browser);
    assert_eq!(app.stored(id, "pages").await, None);
    assert_eq!(browser.visit(pages).await, "a b c");
    browser.visit(async |mut session: OlderVisit| session.set_pages(vec!["z".into()])).await;
    browser.visit(async |mut session: Visit| session.pages_mut().retain(|page| page != "b")).await;
    let mut items: Vec<_> = browser.visit(async |session: Visit| session.pages().to_vec()).await;
    items.sort();
    assert_eq!(items, ["a", "c", "z"]);
    assert_eq!(browser.visit(take).await, "saved");
    assert_eq!(browser.visit(take).await, "");
    assert_eq!(app.stored(id, "notices").await, None);
}

/// What many requests flash at once reaches one page, in one order, and once.
pub async fn flashes_of_many_requests_all_reach_a_page(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for _ in 0..10 {
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
            session.flash_notices(format!("n{index}"));
        })
        .await;
        let mut taken: Vec<_> = browser.visit(take).await.split(' ').map(str::to_owned).collect();
        taken.sort();
        let mut expected: Vec<_> = (0..MANY).map(|index| format!("n{index}")).collect();
        expected.sort();
        assert_eq!(taken, expected);
        assert_eq!(browser.visit(take).await, "");
    }
}

/// A take removes what it delivered, and what is flashed meanwhile reaches the next page.
pub async fn what_is_flashed_beside_a_take_is_delivered_next(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let (browser, gate) = (apps[0].browser(), Gate::new());
    browser.visit(flash("one")).await;
    browser.visit(flash("two")).await;
    let inside = gate.clone();
    let slow = async move |mut session: Visit| {
        let taken = session.take_notices().join(" ");
        inside.pass().await;
        taken
    };
    let slow = tokio::spawn(browser.visit(slow));
    gate.arrived().await;
    browser.at(&apps[1].browser()).visit(flash("three")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer"), "one two");
    assert_eq!(browser.visit(peek).await, "three");
    assert_eq!(browser.visit(peek).await, "three", "looking takes nothing");
    assert_eq!(browser.visit(take).await, "three");
    assert_eq!(browser.visit(peek).await, "");
}

/// Within a request: what is taken is gone, what is kept is there again, and what is discarded is never shown.
pub async fn a_list_of_flashes_is_kept_and_discarded(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash("one")).await;
    browser
        .visit(async |mut session: Visit| {
            session.flash_notices("two");
            assert_eq!(session.take_notices(), ["one", "two"]);
            session.flash_notices("three");
            assert_eq!(session.notices(), ["three"]);
            session.keep_notices();
            assert_eq!(session.notices(), ["one", "two", "three"]);
        })
        .await;
    assert_eq!(browser.visit(peek).await, "one two three");
    browser
        .visit(async |mut session: Visit| {
            session.discard_notices();
            session.flash_notices("four");
        })
        .await;
    assert_eq!(browser.visit(take).await, "four");
    app.calls.clear();
    browser
        .visit(async |mut session: Visit| {
            session.flash_notices("nothing");
            assert_eq!(session.take_notices(), ["nothing"]);
        })
        .await;
    assert!(app.calls().iter().all(|call| call.changes().is_empty()), "{:?}", app.calls());
}

/// A `HEAD` shows the flashes and takes none; a failing request delivers none.
pub async fn a_page_that_is_not_seen_takes_no_flashes(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash("one")).await;
    assert_eq!(browser.send_as(Request::head("/"), take).await.status(), 200);
    let fail = async |mut session: Visit| {
        session.take_notices();
        http::StatusCode::INTERNAL_SERVER_ERROR
    };
    assert_eq!(browser.send(fail).await.status(), 500);
    assert_eq!(browser.visit(take).await, "one");
}

/// The flashes of the request that ends the session reach the next page, and no others.
pub async fn a_list_of_flashes_outlives_the_end(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash("old")).await;
    browser
        .visit(async |mut session: Visit| {
            session.flash_notices("bye");
            session.destroy();
        })
        .await;
    assert_eq!(browser.visit(take).await, "bye");
}
