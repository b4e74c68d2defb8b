//! actix-session with a key per field, as its documentation uses it, on actix-web.

use ::actix_session::storage::RedisSessionStore;
use ::actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::{App as ActixApp, test, web};
use anyhow::{Result, anyhow};
use futures::future::{BoxFuture, FutureExt};

use crate::actix::Threads;
use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::data;
use crate::store::Store;

pub struct ActixSession;

impl Contender for ActixSession {
    fn name(&self) -> &'static str {
        "actix-session"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        (store == Store::Redis).then_some(
            "actix-session 0.11 with its RedisSessionStore on redis 0.32, one connection that all \
             requests share, default middleware (it encrypts the cookie, and loads a session that \
             the handler does not look at); **on actix-web 4, not axum**",
        )
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            let store =
                RedisSessionStore::new(setup.servers.redis_url()).await.map_err(|e| anyhow!("{e}"))?;
            let (key, fields) = (Key::generate(), setup.fields);
            Ok(App::Actix(Threads::start(move || {
                let app = ActixApp::new()
                    .wrap(SessionMiddleware::new(store.clone(), key.clone()))
                    .app_data(web::Data::new(fields))
                    .route("/untouched", web::get().to(async || "ok"))
                    .route("/read", web::get().to(read))
                    .route("/write", web::get().to(write))
                    .route("/fill", web::get().to(fill))
                    .route("/check", web::get().to(check));
                test::init_service(app)
            })))
        }
        .boxed()
    }
}

async fn read(session: Session) -> actix_web::Result<String> {
    field(&session, data::HOT_FIELD)
}

async fn write(session: Session) -> actix_web::Result<String> {
    let value = data::next_value();
    session.insert(data::HOT_FIELD, &value)?;
    Ok(value)
}

async fn fill(session: Session, fields: web::Data<usize>) -> actix_web::Result<String> {
    let values = data::next_values(**fields);
    for (name, value) in data::fields(**fields).iter().zip(&values) {
        session.insert(*name, value)?;
    }
    session.insert(data::COUNTER, data::COUNTER_START)?;
    Ok(data::summary(&values, data::COUNTER_START))
}

async fn check(session: Session, fields: web::Data<usize>) -> actix_web::Result<String> {
    let values: actix_web::Result<Vec<_>> =
        data::fields(**fields).iter().map(|name| field(&session, name)).collect();
    let counter = session.get(data::COUNTER)?.unwrap_or_default();
    Ok(data::summary(&values?, counter))
}

fn field(session: &Session, name: &str) -> actix_web::Result<String> {
    Ok(session.get(name)?.unwrap_or_default())
}
