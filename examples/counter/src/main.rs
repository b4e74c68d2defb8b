//! A page counter and a message that is shown once after a redirect.
//!
//! ```text
//! cargo run -p counter                            sessions in counter.db
//! cargo run -p counter -- --store sqlite:FILE     in another file
//! cargo run -p counter -- --store memory          in memory, gone when it ends
//! cargo run -p counter -- --store redis://HOST:PORT
//! cargo run -p counter -- --store redis+cluster://HOST:PORT,HOST:PORT
//! cargo run -p counter -- --store redis+sentinel://HOST:PORT,HOST:PORT/SERVICE
//! cargo run -p counter -- --store webdis+http://HOST:PORT
//! cargo run -p counter -- --listen 127.0.0.1:8080
//! ```

use std::{env, error::Error};

use axum::{
    Form, Router,
    response::Redirect,
    routing::{get, post},
};
use serde::Deserialize;
use sessions::{
    Session, SessionLayer, TypedSession,
    store::{AnyStore, MemoryStore, RedisStore, SqliteStore, Store, WebdisStore},
};
use tokio::net::TcpListener;

#[derive(Session)]
struct Visit {
    #[session(merge = "add")] // requests at the same time all count
    page_count: u32,
    #[flash] // shown once
    message: Option<String>,
}

async fn index(mut session: TypedSession<Visit>) -> String {
    session.add_page_count(1);
    match session.take_message() {
        Some(text) => format!("{text} (visit {})\n", session.page_count()),
        None => format!("visit {}\n", session.page_count()),
    }
}

#[derive(Deserialize)]
struct Message {
    text: String,
}

async fn leave_message(mut session: TypedSession<Visit>, Form(message): Form<Message>) -> Redirect {
    session.flash_message(message.text);
    Redirect::to("/")
}

async fn log_out(session: TypedSession<Visit>) -> Redirect {
    session.destroy();
    Redirect::to("/")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(env::args().skip(1))?;
    let app = Router::new()
        .route("/", get(index))
        .route("/message", post(leave_message))
        .route("/logout", post(log_out))
        .layer(SessionLayer::new(open(&options.store).await?));
    let listener = TcpListener::bind(&options.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

/// Opens the store that an argument names.
async fn open(store: &str) -> Result<AnyStore, Box<dyn Error>> {
    let Some((kind, rest)) = store.split_once(':') else {
        return if store == "memory" { Ok(MemoryStore::new().erase()) } else { Err(unknown_store()) };
    };
    let hosts = rest.trim_start_matches("//");
    Ok(match kind {
        "sqlite" => SqliteStore::open(rest).await?.erase(),
        "redis" => RedisStore::connect(store).await?.erase(),
        "redis+cluster" => RedisStore::cluster(nodes(hosts)).await?.erase(),
        "redis+sentinel" => {
            let (hosts, service) = hosts.split_once('/').ok_or_else(unknown_store)?;
            RedisStore::sentinel(nodes(hosts), service).await?.erase()
        }
        "webdis+http" => WebdisStore::connect(format!("http://{hosts}")).await?.erase(),
        _ => return Err(unknown_store()),
    })
}

/// Returns a URL for each host of a list.
fn nodes(hosts: &str) -> impl Iterator<Item = String> {
    hosts.split(',').map(|host| format!("redis://{host}"))
}

/// Returns an error without the name, which may be a URL with a password.
fn unknown_store() -> Box<dyn Error> {
    "unknown store; write `memory`, `sqlite:FILE`, `redis://HOST:PORT`, `redis+cluster://HOST:PORT,…`, \
     `redis+sentinel://HOST:PORT,…/SERVICE` or `webdis+http://HOST:PORT`"
        .into()
}

struct Options {
    store: String,
    listen: String,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { store: "sqlite:counter.db".to_owned(), listen: "127.0.0.1:3000".to_owned() };
        while let Some(name) = arguments.next() {
            let target = match name.as_str() {
                "--store" => &mut options.store,
                "--listen" => &mut options.listen,
                _ => return Err(format!("unknown option `{name}`; write `--store` or `--listen`")),
            };
            *target = arguments.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        }
        Ok(options)
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
