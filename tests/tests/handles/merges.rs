//! Fields that merge: what a handle shows of them is what the next request sees.

use axum::{Router, routing::get};
use sessions::{Error, Session, TypedSession, testing::Client};

use super::layer;

/// One field of each kind that merges.
#[derive(Session)]
struct Counters {
    #[session(merge = "add")]
    small: u8,
    #[session(merge = "add")]
    wide: i64,
    #[session(merge = "max")]
    top: i64,
    #[session(merge = "min", default = 100)]
    low: i64,
    #[session(merge = "first")]
    first: Option<String>,
    touched: bool,
}

/// What a request does to a session.
type Step = fn(&mut TypedSession<Counters>);

/// Steps in one request, also with a save or a reload between them: what the handle shows at last, which
/// is what the next request sees.
async fn shown(begin: Step, steps: &'static [Step]) -> String {
    fn all(session: &TypedSession<Counters>) -> String {
        let [small, wide] = [session.small().into(), session.wide()];
        format!("{small} {wide} {} {} {}", session.top(), session.low(), session.first().unwrap_or("-"))
    }
    let mut results = Vec::new();
    for between in ["nothing", "a save", "a reload"] {
        let begin = async move |mut session: TypedSession<Counters>| {
            begin(&mut session);
            session.set_touched(true);
        };
        let work = async move |mut session: TypedSession<Counters>| {
            for step in steps {
                step(&mut session);
                match between {
                    "a save" => session.save().await?,
                    "a reload" => session.reload().await?,
                    _ => {}
                }
            }
            Ok::<_, Error>(all(&session))
        };
        let see = async |session: TypedSession<Counters>| all(&session);
        let routes = Router::new().route("/begin", get(begin)).route("/work", get(work));
        let browser = Client::new(routes.route("/see", get(see)).layer(layer()));
        assert_eq!(browser.get("/begin").await.status(), 200);
        let shown = browser.get("/work").await.text().to_owned();
        assert_eq!(browser.get("/see").await.text(), shown, "with {between} between");
        results.push(shown);
    }
    assert_eq!(results[0], results[1], "a save makes a difference");
    assert_eq!(results[0], results[2], "a reload makes a difference");
    results.swap_remove(0)
}

#[tokio::test]
async fn sums_beyond_64_bits_are_stored_as_they_are_shown() {
    const HALF: i64 = 9_000_000_000_000_000_000;
    let begin: Step = |session| session.set_wide(-HALF);
    let twice = shown(begin, &[|session| session.add_wide(HALF), |session| session.add_wide(HALF)]);
    assert_eq!(twice.await, format!("0 {HALF} 0 100 -"));
    let in_place = shown(begin, &[|session| *session.wide_mut() = i64::MAX, |session| session.add_wide(-1)]);
    assert_eq!(in_place.await, format!("0 {} 0 100 -", i64::MAX - 1));
    let both = shown(begin, &[|session| session.add_wide(HALF), |session| *session.wide_mut() = HALF]);
    assert_eq!(both.await, format!("0 {HALF} 0 100 -"));
}

#[tokio::test]
async fn additions_that_stop_at_a_bound_are_stored_as_they_are_shown() {
    let begin: Step = |session| session.set_small(250);
    assert_eq!(shown(begin, &[|s| s.add_small(10), |s| s.add_small(-10)]).await, "245 0 0 100 -");
    assert_eq!(shown(begin, &[|s| s.add_small(i64::MIN), |s| s.add_small(7)]).await, "7 0 0 100 -");
    assert_eq!(shown(begin, &[|s| s.add_small(10), |s| *s.small_mut() -= 5]).await, "250 0 0 100 -");
    let thrice = shown(begin, &[|s| s.add_small(i64::MAX), |s| s.add_small(i64::MAX), |s| s.add_small(-1)]);
    assert_eq!(thrice.await, "254 0 0 100 -");
    assert_eq!(shown(|_| {}, &[|s| s.add_small(-1), |s| s.add_small(3)]).await, "3 0 0 100 -");
}

/// A change in place of a field that merges counts like a set: the largest stays, the smallest, the first.
#[tokio::test]
async fn what_is_edited_to_what_cannot_stay_is_shown_as_it_stays() {
    let begin: Step = |session| {
        session.set_top(5);
        session.set_low(5);
        session.set_first("one");
    };
    let stays = "0 0 5 5 one";
    assert_eq!(shown(begin, &[|s| *s.top_mut() = 3]).await, stays);
    assert_eq!(shown(begin, &[|s| *s.low_mut() = 7]).await, stays);
    assert_eq!(shown(begin, &[|s| s.first_mut().expect("a word").push('!')]).await, stays);
    assert_eq!(shown(begin, &[|s| *s.top_mut() = 9]).await, "0 0 9 5 one");
    assert_eq!(shown(begin, &[|s| *s.top_mut() = 9, |s| *s.top_mut() = 7]).await, "0 0 9 5 one");
    assert_eq!(shown(begin, &[|s| *s.top_mut() = 3, |s| s.set_top(4)]).await, stays);
    assert_eq!(shown(begin, &[|s| *s.top_mut() = 3, |s| *s.top_mut() += 1]).await, "0 0 6 5 one");
    assert_eq!(shown(begin, &[|s| s.set_top(20), |s| *s.top_mut() = 3]).await, "0 0 20 5 one");
    assert_eq!(shown(begin, &[|s| s.set_low(2), |s| *s.low_mut() = 3]).await, "0 0 5 2 one");
    // A removal begins anew.
    assert_eq!(shown(begin, &[|s| s.reset_top(), |s| *s.top_mut() = -3]).await, "0 0 -3 5 one");
    assert_eq!(shown(begin, &[|s| *s.top_mut() = 3, |s| s.reset_top()]).await, "0 0 0 5 one");
    let anew: &[Step] =
        &[|s| drop(s.take_first()), |s| s.set_first("two"), |s| s.first_mut().expect("a word").clear()];
    assert_eq!(shown(begin, anew).await, "0 0 5 5 two");
    // So does a field of which nothing is stored: its default is no value that stays.
    assert_eq!(shown(|_| {}, &[|s| *s.top_mut() = -3]).await, "0 0 -3 100 -");
    assert_eq!(shown(|_| {}, &[|s| *s.top_mut() = -3, |s| *s.top_mut() = -5]).await, "0 0 -3 100 -");
    assert_eq!(
        shown(
            |_| {},
            &[
                |s| {
                    let _ = s.top_mut();
                },
                |s| s.set_top(-3)
            ]
        )
        .await,
        "0 0 -3 100 -"
    );
}

/// What cannot stay is shown until the borrow ends, and taken as it stays.
#[tokio::test]
async fn a_take_after_an_edit_has_what_stays() {
    let work = async |mut session: TypedSession<Counters>| {
        session.set_first("one");
        session.save().await?;
        let word = session.first_mut().expect("a word");
        word.push('!');
        let lent = word.clone();
        Ok::<_, Error>(format!("{lent} {:?} {}", session.take_first(), session.has_first()))
    };
    let browser = Client::new(Router::new().route("/", get(work)).layer(layer()));
    assert_eq!(browser.get("/").await.text(), "one! Some(\"one\") false");
}
