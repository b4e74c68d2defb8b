//! What people write in handlers, borrow checker included.
#![deny(warnings)]

use std::collections::HashMap;

use axum::{Router, response::Redirect, routing::get};
use serde::{Deserialize, Serialize};
use sessions::{Session, TypedSession};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[derive(Session)]
struct Visit {
    n: u32,
    last_seen: u64,
    user: Option<User>,
    #[flash]
    message: Option<String>,
    x: String,
    nick: Option<String>,
    #[session(merge = "last")]
    items: Vec<String>,
    #[session(merge = "last")]
    votes: HashMap<String, u32>,
    limit: Option<u32>,
    #[session(merge = "last")]
    theme: Option<Vec<u8>>,
}

async fn handler(mut session: TypedSession<Visit>) -> Result<Redirect, String> {
    session.set_n(session.n() + 1);
    session.set_x(format!("{}!", session.x()));
    session.set_x("literal");
    session.set_x(String::from("owned"));
    session.set_x('c');
    if let Some(user) = session.user() {
        session.set_last_seen(user.id);
    }
    match session.take_message() {
        Some(text) => session.set_x(text),
        None => session.set_n(0),
    }
    *session.n_mut() += 1;
    *session.n_mut() += session.items().len() as u32;
    session.items_mut().push("a".into());
    session.items_mut().retain(|item| !item.is_empty());
    let name = session.user().map(|user| user.name.clone());
    session.set_nick(name.unwrap_or_default());
    if let Some(user) = session.user_mut() {
        user.name.push('x');
    }
    if let Some(limit) = session.limit_mut() {
        *limit += 1;
    }
    for item in session.items() {
        let _ = item.len();
    }
    let last = session.items().last().cloned();
    session.set_items(last.into_iter().collect());
    *session.votes_mut().entry("a".to_owned()).or_default() += 1;
    let Some(user) = session.user() else {
        session.flash_message("log in first");
        return Ok(Redirect::to("/login"));
    };
    if user.name == "admin" && session.n() > 3 {
        session.remove_user();
        session.rotate();
    }
    let user = session.take_user().ok_or("nobody")?;
    session.set_user(User { id: session.n().into(), ..user });
    session.set_limit(session.limit().map_or(1, |limit| limit + 1));
    session.set_limit(session.limit().unwrap_or(7));
    let greeting = match (session.nick(), session.has_user()) {
        (Some(nick), true) => format!("{nick} {:?}", session.theme()),
        _ => session.x().to_owned(),
    };
    session.set_nick(greeting);
    if session.has_message() {
        session.keep_message();
    }
    session.flash_now_message("now");
    session.discard_message();
    let Visit { n, x, .. } = session.snapshot();
    session.set_n(n);
    session.set_x(x);
    session.reset_n();
    session.remember_nothing();
    Ok(Redirect::to("/"))
}

trait Extension {
    fn remember_nothing(&mut self);
}

impl Extension for TypedSession<Visit> {
    fn remember_nothing(&mut self) {
        self.reset_votes();
    }
}

fn main() {
    let _: Router = Router::new().route("/", get(handler));
}
