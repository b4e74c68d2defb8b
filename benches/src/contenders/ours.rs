//! `sessions`, compiled with the cargo feature `ours`.

use anyhow::Result;
use axum::Router;
use axum::routing::get;
use futures::future::{BoxFuture, FutureExt};
use sessions::store::{Durability, MemoryStore, SqliteStore, Store as SessionStore};
use sessions::{Session, SessionLayer, TypedSession};

use crate::contender::{Contender, Setup};
use crate::data;
use crate::store::Store;

pub struct Ours;

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        Some(match store {
            Store::Memory => "this repository's crate, MemoryStore, default layer",
            Store::SqliteRelaxed => {
                "this repository's crate, SqliteStore with relaxed durability, default layer"
            }
            Store::SqliteFull => "this repository's crate, SqliteStore with full durability, default layer",
        })
    }

    fn router<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Router>> {
        async move {
            let durability = match setup.store {
                Store::Memory => return Ok(routes(MemoryStore::new().with_capacity(10_000_000))),
                Store::SqliteRelaxed => Durability::Relaxed,
                Store::SqliteFull => Durability::Full,
            };
            let store = SqliteStore::builder(setup.dir.join("sessions.db"))
                .with_durability(durability)
                .open()
                .await?;
            Ok(routes(store))
        }
        .boxed()
    }
}

#[derive(Session)]
struct Bench {
    #[session(merge = "add")]
    counter: u64,
    field_00: String,
    field_01: String,
    field_02: String,
    field_03: String,
    field_04: String,
    field_05: String,
    field_06: String,
    field_07: String,
    field_08: String,
    field_09: String,
    field_10: String,
    field_11: String,
    field_12: String,
    field_13: String,
    field_14: String,
    field_15: String,
    field_16: String,
    field_17: String,
    field_18: String,
    field_19: String,
}

fn routes(store: impl SessionStore) -> Router {
    Router::new()
        .route("/untouched", get(async || "ok"))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/fill", get(fill))
        .route("/check", get(check))
        .layer(SessionLayer::new(store))
}

// `field_03` is the field that `data::HOT` names.

async fn read(session: TypedSession<Bench>) -> String {
    session.field_03().to_owned()
}

async fn write(mut session: TypedSession<Bench>) -> String {
    let value = data::next_value();
    session.set_field_03(value.as_str());
    value
}

async fn fill(mut session: TypedSession<Bench>) -> String {
    let values = data::next_values();
    set_all(&mut session, &values);
    data::summary(&values, data::COUNTER_START)
}

async fn check(session: TypedSession<Bench>) -> String {
    data::summary(&get_all(&session), session.counter())
}

/// Sets every field, in the order of the declaration.
fn set_all(session: &mut TypedSession<Bench>, values: &[String]) {
    let mut values = values.iter();
    let mut next = || values.next().expect("a value per field").as_str();
    session.set_field_00(next());
    session.set_field_01(next());
    session.set_field_02(next());
    session.set_field_03(next());
    session.set_field_04(next());
    session.set_field_05(next());
    session.set_field_06(next());
    session.set_field_07(next());
    session.set_field_08(next());
    session.set_field_09(next());
    session.set_field_10(next());
    session.set_field_11(next());
    session.set_field_12(next());
    session.set_field_13(next());
    session.set_field_14(next());
    session.set_field_15(next());
    session.set_field_16(next());
    session.set_field_17(next());
    session.set_field_18(next());
    session.set_field_19(next());
    session.set_counter(data::COUNTER_START);
}

fn get_all(session: &TypedSession<Bench>) -> Vec<String> {
    [
        session.field_00(),
        session.field_01(),
        session.field_02(),
        session.field_03(),
        session.field_04(),
        session.field_05(),
        session.field_06(),
        session.field_07(),
        session.field_08(),
        session.field_09(),
        session.field_10(),
        session.field_11(),
        session.field_12(),
        session.field_13(),
        session.field_14(),
        session.field_15(),
        session.field_16(),
        session.field_17(),
        session.field_18(),
        session.field_19(),
    ]
    .map(str::to_owned)
    .to_vec()
}
