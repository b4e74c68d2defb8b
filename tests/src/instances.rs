//! The behaviour of two instances of an application over one store, for any store.

// A test fails by panicking.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use sessions::{
    Session, SessionLayer, TypedSession,
    store::Store,
    testing::{Client, Gate},
};

const ROUNDS: usize = 100;
const AT_ONCE: usize = 20;

/// Declares a session of numbers, with a setter by index.
macro_rules! numbers {
    ($($index:literal $field:ident $set:ident),* $(,)?) => {
        #[derive(Session)]
        struct Numbers {
            $($field: u64,)*
            #[session(merge = "add")]
            count: u64,
        }

        fn set(session: &mut TypedSession<Numbers>, index: usize, value: u64) {
            match index {
                $($index => session.$set(value),)*
                _ => panic!("no field {index}"),
            }
        }

        fn all(session: &TypedSession<Numbers>) -> Vec<u64> {
            vec![$(session.$field()),*]
        }
    };
}

numbers! {
    0 f0 set_f0, 1 f1 set_f1, 2 f2 set_f2, 3 f3 set_f3, 4 f4 set_f4, 5 f5 set_f5, 6 f6 set_f6,
    7 f7 set_f7, 8 f8 set_f8, 9 f9 set_f9, 10 f10 set_f10, 11 f11 set_f11, 12 f12 set_f12,
    13 f13 set_f13, 14 f14 set_f14, 15 f15 set_f15, 16 f16 set_f16, 17 f17 set_f17, 18 f18 set_f18,
    19 f19 set_f19,
}

type NumbersSession = TypedSession<Numbers>;

/// Two instances of an application, each with a store of its own over the same data.
#[derive(Debug)]
pub struct Instances {
    browsers: [Client; 2],
    /// The gate at which `/slow` waits, with the session loaded.
    gate: Gate,
}

impl Instances {
    /// Creates two instances on these stores, which may be of two kinds.
    pub fn new(one: impl Store, other: impl Store) -> Self {
        let gate = Gate::new();
        let browsers = [app(&gate, one), app(&gate, other)];
        Self { browsers, gate }
    }

    /// Checks that all fields survive that requests at once set, one each.
    pub async fn keep_what_is_put_at_once(&self) {
        for round in 1..=ROUNDS as u64 {
            let [one, other] = self.visitor();
            assert_eq!(one.get("/add").await.status(), 200);
            let requests = (0..AT_ONCE).map(|index| {
                let tab = if index % 2 == 0 { one.fork() } else { other.fork() };
                tokio::spawn(async move { tab.get(&format!("/set/{index}/{round}")).await.status() })
            });
            for request in requests.collect::<Vec<_>>() {
                assert_eq!(request.await.expect("an answer"), 200);
            }
            for browser in [&one, &other] {
                let expected = format!("{:?} 1", [round; AT_ONCE]);
                assert_eq!(browser.get("/show").await.text(), expected, "round {round}");
            }
        }
    }

    /// Checks that each of several increments at once is counted once.
    pub async fn count_exactly(&self) {
        let [one, other] = self.visitor();
        assert_eq!(one.get("/add").await.status(), 200);
        for round in 1..=ROUNDS {
            let requests = (0..AT_ONCE).map(|index| {
                let tab = if index % 2 == 0 { one.fork() } else { other.fork() };
                tokio::spawn(async move { tab.get("/add").await.status() })
            });
            for request in requests.collect::<Vec<_>>() {
                assert_eq!(request.await.expect("an answer"), 200);
            }
            for browser in [&one, &other] {
                let expected = format!("{:?} {}", [0; AT_ONCE], 1 + round * AT_ONCE);
                assert_eq!(browser.get("/show").await.text(), expected, "round {round}");
            }
        }
    }

    /// Checks that a slow request that commits after a logout at the other instance restores nothing.
    pub async fn stay_logged_out(&self) {
        let no_user = format!("{:?} 0", [0; AT_ONCE]);
        for round in 0..ROUNDS {
            let [one, other] = self.visitor();
            assert_eq!(one.get("/add").await.status(), 200);
            let thieves = [one.clone_jar(), other.clone_jar()];
            // A commit of puts alone uses another script than one of additions.
            let slow = if round % 2 == 0 { "/slow/add" } else { "/slow/put" };
            let tab = one.clone_jar();
            let slow = tokio::spawn(async move { tab.get(slow).await.status() });
            self.gate.arrived().await;
            if round % 4 < 2 {
                assert_eq!(other.get("/out").await.status(), 200);
                self.gate.release();
                // The page is shown, though it is not counted.
                let status = if round % 2 == 0 { 200 } else { 409 };
                assert_eq!(slow.await.expect("an answer"), status, "round {round}");
            } else {
                // Both are sent at once, in any order. The session has ended after both.
                self.gate.release();
                assert_eq!(other.get("/out").await.status(), 200);
                let status = slow.await.expect("an answer");
                assert!(status == StatusCode::CONFLICT || status == StatusCode::OK, "{status}");
            }
            for thief in thieves {
                assert_eq!(thief.get("/show").await.text(), no_user, "round {round}");
            }
        }
    }

    /// Returns a new visitor, as a browser in front of each instance.
    fn visitor(&self) -> [Client; 2] {
        let one = self.browsers[0].stranger();
        let other = one.at(&self.browsers[1]);
        [one, other]
    }
}

fn app(gate: &Gate, store: impl Store) -> Client {
    let gate = gate.clone();
    let slow = async move |Path(what): Path<String>, mut session: NumbersSession| {
        // The session is loaded before the logout.
        assert_eq!(session.count(), 1);
        gate.pass().await;
        if what == "add" { session.add_count(1) } else { session.set_f0(9) }
    };
    let routes = Router::new()
        .route("/set/{index}/{value}", get(set_one))
        .route("/add", get(async |mut session: NumbersSession| session.add_count(1)))
        .route(
            "/show",
            get(async |session: NumbersSession| format!("{:?} {}", all(&session), session.count())),
        )
        .route("/out", get(async |session: NumbersSession| session.destroy()))
        .route("/slow/{what}", get(slow));
    Client::new(routes.layer(SessionLayer::new(store)))
}

async fn set_one(Path((index, value)): Path<(usize, u64)>, mut session: NumbersSession) {
    set(&mut session, index, value);
}
