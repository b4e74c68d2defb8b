//! Handlers that panic, and writes that fail: a logout and the removal of a right happen all the same.

use super::*;

#[tokio::test]
async fn a_panic_caught_inside_the_layer_is_a_server_error() {
    async fn broken(mut session: TypedSession<Account>) -> String {
        session.set_name("half");
        panic!("as the test wants it");
    }
    for inside in [true, false] {
        let app = routes().route("/broken", get(broken));
        let app = if inside {
            app.layer(CatchPanicLayer::new()).layer(layer())
        } else {
            app.layer(layer()).layer(CatchPanicLayer::new())
        };
        let browser = Client::new(app);
        browser.get("/in/Ada").await;
        let response = browser.get("/broken").await;
        assert_eq!(response.status(), 500);
        assert!(response.set_cookies().is_empty());
        assert_eq!(browser.get("/read").await.text(), "Ada 0", "caught inside: {inside}");
    }
}

#[tokio::test]
async fn a_caught_panic_hands_nothing_over_even_if_errors_commit() {
    async fn broken(mut session: TypedSession<Account>) -> String {
        session.set_name("half");
        panic!("as the test wants it");
    }
    let layer = layer().with_on_server_error(OnServerError::Commit);
    let browser =
        Client::new(routes().route("/broken", get(broken)).layer(CatchPanicLayer::new()).layer(layer));
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/broken").await.status(), 500);
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
}

#[tokio::test]
async fn a_logout_before_a_caught_panic_happens() {
    async fn broken(session: TypedSession<Account>) -> String {
        session.destroy();
        panic!("as the test wants it");
    }
    let app = routes().route("/broken", get(broken)).layer(CatchPanicLayer::new()).layer(layer());
    let browser = Client::new(app);
    browser.get("/in/Ada").await;
    let thief = browser.clone_jar();
    assert_eq!(browser.get("/broken").await.set_cookies().len(), 1);
    assert_eq!(thief.get("/read").await.text(), "- 0");
}

/// A field's type may panic when it is written, which is after the handler: nothing is granted, and what was taken
/// away is gone.
#[tokio::test]
async fn a_right_that_was_taken_away_is_gone_though_another_field_cannot_be_written() {
    #[derive(Default)]
    struct Broken;

    impl serde::Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("as the test wants it")
        }
    }

    impl<'de> serde::Deserialize<'de> for Broken {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    #[derive(Session)]
    struct Staff {
        #[session(privilege)]
        role: Option<String>,
        #[session(privilege)]
        level: Option<u32>,
        broken: Option<Broken>,
    }

    let hire = async |mut staff: TypedSession<Staff>| staff.set_role("admin");
    let dismiss = async |mut staff: TypedSession<Staff>| {
        staff.remove_role();
        staff.set_level(2);
        staff.set_broken(Broken);
    };
    let show =
        async |staff: TypedSession<Staff>| format!("{} {:?}", staff.role().unwrap_or("-"), staff.level());
    let routes =
        Router::new().route("/hire", get(hire)).route("/dismiss", get(dismiss)).route("/show", get(show));
    let browser = Client::new(routes.layer(CatchPanicLayer::new()).layer(layer()));
    browser.get("/hire").await;
    let thief = browser.clone_jar();
    assert_eq!(browser.get("/dismiss").await.status(), 500);
    assert_eq!(browser.get("/show").await.text(), "- None");
    assert_eq!(thief.get("/show").await.text(), "- None");
}

/// A switch of protocols whose commit is refused does not happen.
#[tokio::test]
async fn no_protocol_is_switched_to_if_the_commit_is_refused() {
    let upgrade = async |mut session: TypedSession<Account>| {
        session.set_name("Bob");
        StatusCode::SWITCHING_PROTOCOLS
    };
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let browser = Client::new(routes().route("/upgrade", get(upgrade)).layer(SessionLayer::new(store)));
    browser.get("/in/Ada").await;
    let tab = browser.clone_jar();
    let gate = faults.hold(Operation::Commit);
    let sign_out = async {
        gate.arrived().await;
        browser.get("/out").await;
        gate.release();
    };
    let (response, ()) = tokio::join!(tab.get("/upgrade"), sign_out);
    assert_eq!(response.status(), 409);
}
