//! A contender's application, however it is called.

use anyhow::Result;
use axum::Router;
use axum::http::HeaderValue;

use crate::actix::Threads;
use crate::client::{self, Answer};

pub enum App {
    Axum(Router),
    Actix(Threads),
}

impl App {
    /// Sends one request and reads the whole answer; not for use under measurement.
    pub async fn get(&self, path: &'static str, cookie: Option<&HeaderValue>) -> Result<Answer> {
        match self {
            App::Axum(router) => client::get(router, path, cookie).await,
            App::Actix(threads) => threads.get(path, cookie.cloned()).await,
        }
    }
}

impl From<Router> for App {
    fn from(router: Router) -> Self {
        // As `axum::serve` does: routes are built once, not per request.
        App::Axum(router.with_state(()))
    }
}
