//! Maps and sets of which each entry is merged by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    super::{Call, Gate},
    environment::{TestEnvironment, record_of},
    handler::{TestHandler, gated},
    instances::{all_at_once, two_apps},
};
use crate::{Session, TypedSession};

/// A visitor of a shop.
#[derive(Session)]
struct Shop {
    #[session(identity)]
    user: Option<String>,
    /// Amounts by article.
    #[session(merge = "entries", keep_on_logout)]
    cart: BTreeMap<u64, u32>,
    #[session(merge = "entries", entry = "add")]
    votes: HashMap<String, i32>,
    #[session(merge = "entries", entry = "max")]
    best: BTreeMap<String, u8>,
    #[session(merge = "entries")]
    tags: BTreeSet<String>,
    #[session(merge = "entries", drop_on_login)]
    draft: BTreeMap<String, String>,
    #[session(merge = "entries")]
    untyped: BTreeMap<String, serde_json::Value>,
    /// As a cart without a merge would be.
    #[session(merge = "last")]
    last: Vec<u64>,
}

/// The shop before its collections had entries.
#[derive(Session)]
struct OlderShop {
    #[session(merge = "last", rename = "basket", keep_on_logout)]
    cart: BTreeMap<u64, u32>,
    #[session(merge = "last")]
    tags: Vec<String>,
}

/// The shop after its cart was renamed.
#[derive(Session)]
struct NewerShop {
    #[session(merge = "entries", alias = "basket", keep_on_logout)]
    cart: BTreeMap<u64, u32>,
    #[session(merge = "entries")]
    tags: BTreeSet<String>,
}

/// The shop whose cart had entries under its older name.
#[derive(Session)]
struct RenamedShop {
    #[session(merge = "entries", rename = "basket", keep_on_logout)]
    cart: BTreeMap<u64, u32>,
}

/// A part of the program that does not know the cart.
#[derive(Session)]
struct Other {
    note: Option<String>,
    #[session(rename = "cart2", merge = "entries")]
    other_cart: BTreeMap<u64, u32>,
}

type Visit = TypedSession<Shop>;
type OlderVisit = TypedSession<OlderShop>;
type NewerVisit = TypedSession<NewerShop>;
type RenamedVisit = TypedSession<RenamedShop>;
type OtherVisit = TypedSession<Other>;

/// A number of requests that meet.
const MANY: u8 = 16;

async fn cart(session: Visit) -> BTreeMap<u64, u32> {
    session.cart().clone()
}

fn put(article: u64, amount: u32) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| {
        session.cart_mut().insert(article, amount);
    }
}

async fn fill(mut session: Visit) {
    session.set_cart(BTreeMap::from([(1, 1), (2, 2)]));
}

/// Requests that put different entries all keep theirs, a hundred times. The field beside it that keeps the last value
/// whole loses.
pub async fn different_entries_at_once_all_stay(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for round in 0..100 {
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
            *session.cart_mut().entry(index.into()).or_default() += 1;
            session.tags_mut().insert(format!("tag {index}"));
            session.last_mut().push(index.into());
        })
        .await;
        let (cart, tags, last) = browser
            .visit(async |session: Visit| {
                (session.cart().clone(), session.tags().len(), session.last().to_vec())
            })
            .await;
        let expected: BTreeMap<_, _> = (0..MANY).map(|index| (index.into(), round + 1)).collect();
        assert_eq!(cart, expected, "in round {round}");
        assert_eq!(tags, usize::from(MANY), "in round {round}");
        assert_eq!(last.len(), 1, "of those who pushed at once, one");
        browser.visit(async |mut session: Visit| session.reset_last()).await;
        if round % 10 == 9 {
            all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
                session.tags_mut().remove(&format!("tag {index}"));
            })
            .await;
            let left = browser.visit(async |session: Visit| session.tags().len()).await;
            assert_eq!(left, 0, "in round {round}");
        }
    }
}

/// Of requests that change one entry the last one stays. With `entry = "add"` all of them count, and with
/// `entry = "max"` the largest stays.
pub async fn one_entry_is_merged_as_it_says(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for round in 1..=10 {
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
            session.cart_mut().insert(7, u32::from(index) + 100);
            *session.votes_mut().entry("both".into()).or_default() += 2;
            *session.votes_mut().entry(format!("of {}", index % 2)).or_default() -= 1;
            let best = session.best_mut().entry("x".into()).or_default();
            *best = (*best).max(index * 7 % 16);
        })
        .await;
        let (cart, votes, best) = browser
            .visit(async |session: Visit| {
                (session.cart().clone(), session.votes().clone(), session.best().clone())
            })
            .await;
        assert!(cart.len() == 1 && (100..116).contains(&cart[&7]), "{cart:?}");
        let half = i32::from(MANY) / 2 * round;
        let expected = [("both", 4 * half), ("of 0", -half), ("of 1", -half)];
        assert_eq!(votes, expected.map(|(key, sum)| (key.to_owned(), sum)).into());
        assert_eq!(best, BTreeMap::from([("x".to_owned(), 15)]));
    }
}

/// A removed entry is gone and another one put, in whatever order the two requests come.
pub async fn a_removal_beside_a_put_of_another(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    for is_put_slow in [false, true] {
        let (browser, gate) = (apps[0].browser(), Gate::new());
        browser.visit(fill).await;
        let tab = browser.at(&apps[1].browser());
        let remove = async |mut session: Visit| {
            session.cart_mut().remove(&1);
        };
        let slow = if is_put_slow {
            tokio::spawn(tab.send(gated(&gate, put(3, 3))))
        } else {
            tokio::spawn(tab.send(gated(&gate, remove)))
        };
        gate.arrived().await;
        if is_put_slow {
            browser.visit(remove).await;
        } else {
            browser.visit(put(3, 3)).await;
        }
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 200);
        assert_eq!(browser.visit(cart).await, BTreeMap::from([(2, 2), (3, 3)]), "{is_put_slow}");
    }
}

/// Setting or resetting the collection removes what the request has seen, and `clear` all that there is.
pub async fn an_entry_that_was_not_seen_stays_unless_all_go(env: TestEnvironment) {
    type Step = fn(&mut Visit);
    let apps = two_apps(&env).await;
    let cases: [(Step, &[(u64, u32)]); 4] = [
        (|session| session.set_cart(BTreeMap::from([(2, 5), (4, 4)])), &[(2, 5), (3, 3), (4, 4)]),
        (
            |session| {
                session.reset_cart();
            },
            &[(3, 3)],
        ),
        (|session| session.cart_mut().retain(|article, _| *article == 1), &[(1, 1), (3, 3)]),
        (|session| session.clear(), &[]),
    ];
    for (step, expected) in cases {
        let (browser, gate) = (apps[0].browser(), Gate::new());
        browser.visit(fill).await;
        browser.visit(async |mut session: Visit| session.set_last(vec![1])).await;
        let tab = browser.at(&apps[1].browser());
        let slow = tokio::spawn(tab.send(gated(&gate, async move |mut session: Visit| step(&mut session))));
        gate.arrived().await;
        browser.visit(put(3, 3)).await;
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 200);
        assert_eq!(browser.visit(cart).await, expected.iter().copied().collect());
    }
}

/// A logout keeps the entries of a cart that outlives it, those of other requests too, and drops all others.
pub async fn a_logout_keeps_all_entries_or_none(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let (browser, gate) = (apps[0].browser(), Gate::new());
    browser.visit(fill).await;
    browser.visit(async |mut session: Visit| session.set_user("Ada")).await;
    browser
        .visit(async |mut session: Visit| {
            session.votes_mut().insert("x".into(), 1);
            session.draft_mut().insert("mail".into(), "Dear".into());
        })
        .await;
    let slow = tokio::spawn(browser.send(gated(&gate, async |mut session: Visit| session.remove_user())));
    gate.arrived().await;
    let tab = browser.at(&apps[1].browser());
    tab.visit(put(3, 3)).await;
    tab.visit(async |mut session: Visit| {
        session.votes_mut().insert("y".into(), 1);
    })
    .await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200);
    let read = async |session: Visit| {
        (session.cart().clone(), session.votes().len(), session.draft().len(), session.has_user())
    };
    assert_eq!(browser.visit(read).await, (BTreeMap::from([(1, 1), (2, 2), (3, 3)]), 0, 0, false));
}

/// A login drops all entries of a draft, those that the request never saw too.
pub async fn a_login_drops_all_entries_of_a_draft(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let (browser, gate) = (apps[0].browser(), Gate::new());
    let draft = |key: &'static str| {
        async move |mut session: Visit| {
            session.draft_mut().insert(key.into(), "Dear".into());
        }
    };
    browser.visit(draft("a")).await;
    browser.visit(fill).await;
    let slow = tokio::spawn(browser.send(gated(&gate, async |mut session: Visit| session.set_user("Ada"))));
    gate.arrived().await;
    browser.at(&apps[1].browser()).visit(draft("b")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200);
    let read = async |session: Visit| (session.draft().len(), session.cart().len(), session.has_user());
    assert_eq!(browser.visit(read).await, (0, 2, true));
}

/// Keys of any text come back as they were, and none reaches another field or the metadata.
pub async fn keys_of_any_text_come_back(env: TestEnvironment) {
    let long = "k".repeat(200);
    let keys = [
        "", ".", "@", "@v", "%", "%41", "\"", "\\", "\0", "\n", "[", "]", "a]", "a[b]", "draft", "*", "?",
        "_", "'", "😀", "e\u{301}", "--", "/", "1", "01", &long,
    ];
    let expected: BTreeMap<String, String> =
        keys.iter().map(|key| ((*key).to_owned(), format!("value of {key}"))).collect();
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let (written, set) = (expected.clone(), keys.map(str::to_owned));
    browser
        .visit(async move |mut session: Visit| {
            session.draft_mut().extend(written);
            session.tags_mut().extend(set);
        })
        .await;
    let read = async |session: Visit| (session.draft().clone(), session.tags().clone());
    let (draft, tags) = browser.visit(read).await;
    assert_eq!(draft, expected);
    assert_eq!(tags, keys.iter().map(|key| (*key).to_owned()).collect());
    for key in keys {
        let (gone, there) = (key.to_owned(), key.to_owned());
        browser
            .visit(async move |mut session: Visit| {
                session.draft_mut().remove(&gone);
            })
            .await;
        let is_there = async move |session: Visit| session.draft().contains_key(&there);
        assert!(!browser.visit(is_there).await, "{key:?}");
    }
    let (draft, tags) = browser.visit(read).await;
    assert_eq!((draft.len(), tags.len()), (0, keys.len()));
    assert_eq!(browser.visit(async |session: Visit| session.cart().len()).await, 0);
}

/// Keys and types that are known at run time only are entries of a map of JSON.
pub async fn a_map_of_json_is_the_untyped_way(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let put = |key: &'static str, value: serde_json::Value| {
        async move |mut session: Visit| {
            session.untyped_mut().insert(key.into(), value);
        }
    };
    browser.visit(put("plan", serde_json::json!({ "seats": 3, "of": [1, null] }))).await;
    browser.visit(put("seen", serde_json::json!("yes"))).await;
    let read = async |session: Visit| {
        format!("{} {}", session.untyped()["plan"]["seats"], session.untyped()["seen"])
    };
    assert_eq!(browser.visit(read).await, "3 \"yes\"");
}

/// What an older program stored whole is shown, and becomes entries with the first change; what it stores whole later
/// is merged in.
pub async fn a_whole_of_an_older_program_becomes_entries(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let older = async |mut session: OlderVisit| {
        session.set_cart(BTreeMap::from([(1, 1), (2, 2)]));
        session.set_tags(vec!["a".into(), "b".into()]);
    };
    browser.visit(older).await;
    let read = async |session: NewerVisit| (session.cart().clone(), session.tags().len());
    assert_eq!(browser.visit(read).await, (BTreeMap::from([(1, 1), (2, 2)]), 2));
    let id = record_of(&browser);
    assert!(app.stored(id, "basket").await.is_some(), "reading changes nothing");
    browser
        .visit(async |mut session: NewerVisit| {
            session.cart_mut().insert(3, 3);
            session.cart_mut().remove(&1);
            session.tags_mut().remove("b");
        })
        .await;
    assert_eq!(app.stored(id, "basket").await, None);
    assert_eq!(app.stored(id, "cart").await, None);
    assert_eq!(app.stored(id, "tags").await, None);
    assert_eq!(browser.visit(read).await, (BTreeMap::from([(2, 2), (3, 3)]), 1));
    // An instance of the older version still runs.
    browser.visit(async |mut session: OlderVisit| session.set_cart(BTreeMap::from([(2, 9), (5, 5)]))).await;
    assert_eq!(browser.visit(read).await.0, BTreeMap::from([(2, 2), (3, 3), (5, 5)]));
    browser
        .visit(async |mut session: NewerVisit| {
            *session.cart_mut().entry(5).or_default() += 1;
        })
        .await;
    assert_eq!(browser.visit(read).await.0, BTreeMap::from([(2, 2), (3, 3), (5, 6)]));
    assert_eq!(app.stored(id, "basket").await, None);
}

/// A whole that is stored beside the first change of an entry is not lost.
pub async fn a_whole_that_changes_meanwhile_is_not_lost(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let (browser, gate) = (apps[0].visitor("Ada").await, Gate::new());
    browser.visit(async |mut session: OlderVisit| session.set_cart(BTreeMap::from([(1, 1), (2, 2)]))).await;
    let change = async |mut session: NewerVisit| {
        session.cart_mut().insert(3, 3);
        session.cart_mut().remove(&1);
    };
    let slow = tokio::spawn(browser.send(gated(&gate, change)));
    gate.arrived().await;
    let tab = browser.at(&apps[1].browser());
    tab.visit(async |mut session: OlderVisit| {
        session.cart_mut().insert(4, 4);
    })
    .await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200);
    let read = async |session: NewerVisit| session.cart().clone();
    assert_eq!(browser.visit(read).await, BTreeMap::from([(2, 2), (3, 3), (4, 4)]));
}

/// A write of an entry removes the one of the same key under the collection's older name, and no other.
pub async fn entries_move_from_an_older_name_one_by_one(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser
        .visit(async |mut session: RenamedVisit| session.set_cart(BTreeMap::from([(1, 1), (2, 2), (3, 3)])))
        .await;
    browser
        .visit(async |mut session: NewerVisit| {
            assert_eq!(session.cart().len(), 3);
            session.cart_mut().insert(1, 9);
            session.cart_mut().remove(&2);
        })
        .await;
    let older = browser.visit(async |session: RenamedVisit| session.cart().clone()).await;
    assert_eq!(older, BTreeMap::from([(3, 3)]));
    let read = async |session: NewerVisit| session.cart().clone();
    assert_eq!(browser.visit(read).await, BTreeMap::from([(1, 9), (3, 3)]));
}

/// A part of the program that does not know the collection keeps it, and a collection whose name begins like it is
/// another one.
pub async fn a_program_that_does_not_know_a_collection_keeps_it(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(fill).await;
    browser
        .visit(async |mut session: OtherVisit| {
            session.set_note("x");
            assert!(session.other_cart().is_empty());
            session.other_cart_mut().insert(1, 9);
        })
        .await;
    browser.visit(async |mut session: OtherVisit| session.reset_other_cart()).await;
    assert_eq!(browser.visit(cart).await, BTreeMap::from([(1, 1), (2, 2)]));
}

/// One changed entry of a hundred is one operation, and no change is none.
pub async fn one_changed_entry_of_a_hundred_is_one_operation(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser
        .visit(async |mut session: Visit| session.set_cart((0..100).map(|article| (article, 1)).collect()))
        .await;
    browser.visit(cart).await;
    let id = record_of(&browser);
    app.calls.clear();
    browser.visit(put(42, 2)).await;
    let changes = |calls: &[Call]| -> Vec<(String, &'static str)> {
        let changes = calls.iter().flat_map(Call::changes);
        changes.map(|change| (change.name.as_str().to_owned(), change.operation)).collect()
    };
    assert_eq!(changes(&app.calls()), [("cart[42]".to_owned(), "put")]);
    app.calls.clear();
    browser.visit(put(42, 2)).await;
    browser.visit(async |mut session: Visit| session.set_cart(session.cart().clone())).await;
    browser.visit(async |mut session: Visit| session.tags_mut().clear()).await;
    assert!(app.calls().iter().all(|call| matches!(call, Call::Load { .. })), "{:?}", app.calls());
    assert_eq!(app.stored(id, "cart[42]").await.as_deref(), Some("2"));
}

/// Handles of one request see each other's entries, as do those after a save, and what is discarded is not stored.
pub async fn handles_of_one_request_see_each_others_entries(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(fill).await;
    let work = async |mut one: Visit, other: Visit| {
        one.cart_mut().insert(3, 3);
        one.save().await.expect("saved");
        one.cart_mut().remove(&1);
        one.save().await.expect("saved");
        assert_eq!(*one.cart(), BTreeMap::from([(2, 2), (3, 3)]));
        one.cart_mut().insert(9, 9);
        one.discard_changes();
        assert_eq!(one.cart().len(), 2);
        let mut other = other;
        other.reload().await.expect("reloaded");
        assert_eq!(other.cart(), one.cart());
        other.cart_mut().insert(4, 4);
        one.cart_mut().insert(5, 5);
    };
    browser.visit(work).await;
    assert_eq!(browser.visit(cart).await, BTreeMap::from([(2, 2), (3, 3), (4, 4), (5, 5)]));
}
