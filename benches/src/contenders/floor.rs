//! No session at all: what the router, the handlers and the client cost.

use anyhow::Result;
use axum::Router;
use axum::routing::get;
use futures::future::{BoxFuture, FutureExt};

use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::data;
use crate::store::Store;

pub struct Floor;

impl Contender for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        (store == Store::Memory).then_some("the same handlers without a session layer")
    }

    fn keeps_sessions(&self) -> bool {
        false
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn app<'a>(&'a self, _: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async {
            Ok(Router::new()
                .route("/untouched", get(async || "ok"))
                .route("/read", get(async || data::next_value()))
                .route("/write", get(async || data::next_value()))
                .route("/fill", get(async || "ok"))
                .route("/check", get(async || "ok"))
                .into())
        }
        .boxed()
    }
}
