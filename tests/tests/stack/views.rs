//! Layers that are built with their views: what an instance knows before its first request.

use std::sync::Arc;

use axum::{Router, routing::get};
use sessions::{
    Key, KeyRing, Session, SessionLayer, TypedSession,
    store::{MemoryStore, Store},
    testing::{Client, RecordingStore},
    views,
};

use super::browsers::Heard;

#[derive(Session)]
struct Login {
    #[session(identity)]
    user: Option<u64>,
}

#[derive(Session)]
struct Shop {
    #[session(keep_on_logout)]
    basket: Option<u64>,
    #[session(drop_on_login)]
    campaign: Option<u64>,
    #[session(secret)]
    card: Option<u64>,
}

/// A view of a field of `Shop`, which does not say that it is secret.
#[derive(Session)]
struct Bare {
    card: Option<u64>,
}

#[derive(Session)]
struct Note {
    text: Option<String>,
}

/// Two types of one name and size, as two crates may have them.
mod one {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub(super) struct Size(u8);

    #[derive(sessions::Session)]
    pub(super) struct Left {
        #[allow(dead_code)]
        size: Size,
    }
}

mod two {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub(super) struct Size(i8);

    #[derive(sessions::Session)]
    pub(super) struct Right {
        #[allow(dead_code)]
        size: Size,
    }
}

views! {
    /// The views of the shop's crate.
    type ShopViews = [Shop, Login];
}

type Shared = Arc<MemoryStore>;

fn unregistered(store: Shared) -> SessionLayer {
    SessionLayer::new(store)
}

fn registered(store: Shared) -> SessionLayer {
    SessionLayer::with_views(store, views![ShopViews, Login])
}

fn routes() -> Router {
    let fill = async |mut shop: TypedSession<Shop>| {
        shop.set_basket(1);
        shop.set_campaign(2);
        shop.set_card(3);
    };
    let shop = async |shop: TypedSession<Shop>| {
        format!("{:?} {:?} {:?}", shop.basket(), shop.campaign(), shop.card())
    };
    let log_in = async |mut login: TypedSession<Login>| login.set_user(7);
    let log_out = async |mut login: TypedSession<Login>| login.remove_user();
    let bare = async |mut bare: TypedSession<Bare>| bare.set_card(4);
    let note = async |mut note: TypedSession<Note>| note.set_text("hello");
    let left = async |_: TypedSession<one::Left>| "left";
    let right = async |_: TypedSession<two::Right>| "right";
    Router::new()
        .route("/fill", get(fill))
        .route("/shop", get(shop))
        .route("/in", get(log_in))
        .route("/out", get(log_out))
        .route("/bare", get(bare))
        .route("/note", get(note))
        .route("/left", get(left))
        .route("/right", get(right))
}

/// A browser in front of an instance that has filled the basket, and the same browser in front of one that was started
/// since, over the same store.
async fn two_instances(layer: fn(Shared) -> SessionLayer, events: &Heard) -> (Client, Client) {
    let store = Shared::default();
    let ring = KeyRing::new(Key::generate().expect("a key"));
    let first = Client::new(routes().layer(layer(Arc::clone(&store)).with_keys(ring.clone())));
    assert_eq!(first.get("/fill").await.status(), 200);
    let fresh = events.by(layer(store).with_keys(ring));
    let fresh = first.at(&Client::new(routes().layer(fresh)));
    (first, fresh)
}

/// A fresh instance that has met only the login's view logs out: the basket stays where the views are registered. On
/// a layer that was not told it goes, so the test can fail.
#[tokio::test]
async fn a_logout_on_a_fresh_instance_keeps_what_outlives_it() {
    for (layer, left) in [(unregistered as fn(_) -> _, "None None None"), (registered, "Some(1) None None")] {
        let (first, fresh) = two_instances(layer, &Heard::default()).await;
        first.get("/in").await;
        first.get("/fill").await;
        fresh.get("/out").await;
        assert_eq!(fresh.get("/shop").await.text(), left);
    }
}

#[tokio::test]
async fn a_login_on_a_fresh_instance_drops_what_does_not_outlive_it() {
    for (layer, left) in
        [(unregistered as fn(_) -> _, "Some(1) Some(2) Some(3)"), (registered, "Some(1) None Some(3)")]
    {
        let (_, fresh) = two_instances(layer, &Heard::default()).await;
        fresh.get("/in").await;
        assert_eq!(fresh.get("/shop").await.text(), left);
    }
}

/// A view that does not say that a field is secret writes it in plain on an instance that has not met the other view.
/// Where that one is registered, it is refused.
#[tokio::test]
async fn a_fresh_instance_writes_no_secret_in_plain() {
    let events = Heard::default();
    let (_, fresh) = two_instances(unregistered, &events).await;
    assert_eq!(fresh.get("/bare").await.status(), 200);
    assert_eq!(fresh.get("/shop").await.status(), 500, "it is stored in plain, and does not open");

    let events = Heard::default();
    let (_, fresh) = two_instances(registered, &events).await;
    for _ in 0..2 {
        assert_eq!(fresh.get("/bare").await.status(), 500);
    }
    assert_eq!(fresh.get("/shop").await.text(), "Some(1) Some(2) Some(3)");
    let told = events.of("Misconfigured");
    assert!(
        told[0].contains("`card` is `secret` in `stack::views::Shop` and not in `stack::views::Bare`"),
        "{told:?}"
    );
}

/// A plain view that is not registered is used, with one event. One with a right is refused.
#[tokio::test]
async fn a_view_that_is_not_registered_is_used_if_it_is_plain() {
    let events = Heard::default();
    let layer = events.by(SessionLayer::with_views(MemoryStore::new(), views![Shop]));
    let browser = Client::new(routes().layer(layer));
    for _ in 0..3 {
        assert_eq!(browser.get("/note").await.status(), 200);
        assert_eq!(browser.get("/in").await.status(), 500);
    }
    let told = events.of("UnregisteredView");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`stack::views::Note` is not registered"), "{told:?}");
    let refused = events.of("Misconfigured");
    assert!(refused[0].contains("its field `user` is `identity`"), "{refused:?}");
}

/// The compiler sees a type's name and size. Two types that have both are found by the running program.
#[tokio::test]
async fn two_types_of_one_name_are_found_when_the_layer_is_built_or_used() {
    let views = views![one::Left, two::Right];
    let error = SessionLayer::try_with_views(MemoryStore::new().erase(), views).expect_err("two types");
    assert!(error.to_string().contains("two different types called `Size`"), "{error}");

    let events = Heard::default();
    let layer = events.by(SessionLayer::with_views(MemoryStore::new(), views));
    let browser = Client::new(routes().layer(layer));
    for path in ["/left", "/right"] {
        assert_eq!(browser.get(path).await.status(), 500, "{path}");
    }
    assert!(!events.of("Misconfigured").is_empty());
    assert!(SessionLayer::try_with_views(MemoryStore::new().erase(), views![one::Left, Note]).is_ok());
}

/// A layer that knows its views asks the store no more than another.
#[tokio::test]
async fn registration_costs_no_call_of_the_store() {
    let mut counts = Vec::new();
    for with_views in [false, true] {
        let store = RecordingStore::new(MemoryStore::new());
        let recording = store.recording();
        let layer = if with_views {
            SessionLayer::with_views(store, views![Login, Note])
        } else {
            SessionLayer::new(store)
        };
        let browser = Client::new(routes().layer(layer));
        for path in ["/note", "/in", "/note", "/out"] {
            browser.get(path).await;
        }
        counts.push(recording.calls().len());
    }
    assert_eq!(counts[0], counts[1]);
}

/// The report names what the layer stores, and says nothing of views that it does not know.
#[test]
fn the_policy_report_names_every_stored_field() {
    let layer = registered(Shared::default());
    let (text, json) = (layer.policy().to_string(), layer.policy().to_json());
    for line in [
        "| `basket` | `u64` | `keep_on_logout` | `last` | its session | readable in the store | `stack::views::Shop` |",
        "| `campaign` | `u64` | `drop_on_login` | `last` | a login, or a logout | readable in the store | `stack::views::Shop` |",
        "| `card` | `u64` | - | `last` | a logout | sealed | `stack::views::Shop` |",
        "| `user` | `u64` | `identity` | `last` | a logout | readable in the store | `stack::views::Login` |",
        "| visitors | 1 day | 30 days |",
        "- name: `__Host-sid`",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    for part in [r#""at_rest": "sealed""#, r#""in_all": 2592000"#, r#""login": "identity""#] {
        assert!(json.contains(part), "{part}\n{json}");
    }
    assert!(unregistered(Shared::default()).policy().to_string().contains("No view is registered"));
}

/// The schema of this file's views, committed beside the manifest.
mod schema {
    use super::{Login, Note, ShopViews};

    sessions::schema_test!("tests/stack/session-schema.json": ShopViews, Login, Note);
}
