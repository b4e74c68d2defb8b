//! The application that most scenarios visit: one path for each thing a handler can do.

use std::time::Duration;

use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};

use super::{
    super::Gate,
    environment::session,
    reply::{HandlerFailure, HandlerReply, redirect, status, text},
};
use crate::{Session, TypedSession};

/// One field of each kind.
#[derive(Session)]
pub(super) struct Kit {
    name: Option<String>,
    count: u32,
    tags: Vec<String>,
    profile: Profile,
    #[session(merge = "add")]
    hits: i64,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "min")]
    least: Option<i64>,
    #[session(merge = "first")]
    origin: Option<String>,
    #[flash]
    notice: Option<String>,
}

/// A value with values in it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(unreachable_pub)]
pub struct Profile {
    pub nick: String,
    pub address: Address,
}

/// Deeper down.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(unreachable_pub)]
pub struct Address {
    pub lines: Vec<String>,
}

/// Answers `/<command>/<argument>`; `/wait/<command>/<argument>` takes the session, waits at the
/// gate, and then does it.
// One arm for each thing a handler can do.
#[allow(clippy::too_many_lines)]
pub(super) async fn answer(mut parts: Parts, gate: Gate) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let (mut command, mut argument) = split(&path[1..]);
    if command == "nothing" {
        return text("");
    }
    let mut session: TypedSession<Kit> = session(&mut parts).await?;
    if command == "wait" {
        gate.pass().await;
        (command, argument) = split(argument);
    }
    match command {
        "change-some" | "count-up" | "nest" | "tags-same" | "keep-notice" | "take-and-set-notice" => {
            several(&mut session, command, argument);
        }
        "name" => return text(session.name().unwrap_or("-")),
        "set-name" => session.set_name(argument),
        "remove-name" => session.remove_name(),
        "set-and-remove-name" => {
            session.set_name(argument);
            session.remove_name();
        }
        "remove-and-set-name" => {
            session.remove_name();
            session.set_name(argument);
        }
        "set-count" => session.set_count(number(argument)),
        "count" => return text(session.count().to_string()),
        "push-tag" => session.tags_mut().push(argument.to_owned()),
        "tags" => return text(session.tags().join(",")),
        "lines" => return text(session.profile().address.lines.join(",")),
        "hits" => return text(session.hits().to_string()),
        "add-hits" => session.add_hits(number(argument)),
        "hit" => *session.hits_mut() += 1,
        "set-hits" => session.set_hits(number(argument)),
        "fetch-hit" => return text(session.fetch_add_hits(1).await?.to_string()),
        "set-best" => session.set_best(number(argument)),
        "best" => return text(format!("{:?}", session.best())),
        "set-least" => session.set_least(number(argument)),
        "least" => return text(format!("{:?}", session.least())),
        "set-origin" => session.set_origin(argument),
        "origin" => return text(session.origin().unwrap_or("-")),
        "flash" => session.flash_notice(argument),
        "now" => {
            session.flash_now_notice(argument);
            return text(session.notice().unwrap_or("-"));
        }
        "notice" => return text(session.notice().unwrap_or("-")),
        "take-notice" => return text(session.take_notice().unwrap_or_else(|| "-".to_owned())),
        "discard-notice" => session.discard_notice(),
        "flash-and-take" => {
            session.flash_notice(argument);
            return text(session.take_notice().unwrap_or_default());
        }
        "flash-and-redirect" => {
            session.flash_notice(argument);
            return redirect("/redirect");
        }
        "redirect" => return redirect("/take-notice"),
        "set-name-and-redirect" => {
            session.set_name(argument);
            return redirect("/name");
        }
        "is-new" => return text(session.is_new().to_string()),
        "id" => return text(session.record_id().map(|id| id.to_string()).unwrap_or_default()),
        "end" => session.destroy(),
        "end-twice" => {
            session.destroy();
            session.destroy();
        }
        "end-and-begin" => {
            session.destroy();
            assert!(session.name().is_none() && session.record_id().is_none(), "nothing is left");
            session.set_name(argument);
        }
        "end-and-fail" => {
            session.destroy();
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "end-and-panic" => {
            session.destroy();
            panic!("as the scenario wants it");
        }
        "end-and-wait" => {
            session.destroy();
            gate.pass().await;
        }
        "clear" => session.clear(),
        "listen" => {
            tokio::spawn(async move {
                session.ended().await;
                gate.pass().await;
            });
        }
        "shorten" => {
            session.limit_lifetime(Duration::from_mins(10), Duration::from_hours(1));
            session.set_name(argument);
        }
        "shorten-and-rotate" => {
            session.limit_lifetime(Duration::from_mins(10), Duration::from_hours(1));
            session.rotate();
        }
        "lengthen-and-rotate" => {
            session.limit_lifetime(Duration::MAX, Duration::MAX);
            session.rotate();
        }
        "rotate" => session.rotate(),
        "rotate-and-set-name" => {
            session.rotate();
            session.set_name(argument);
        }
        "rotate-and-fail" => {
            session.rotate();
            session.set_name(argument);
            return status(StatusCode::BAD_GATEWAY);
        }
        "rotate-twice" => {
            session.rotate();
            session.rotate();
        }
        "rotate-and-save-twice" => {
            session.rotate();
            session.set_name(argument);
            session.save().await?;
            session.set_count(7);
            session.save().await?;
        }
        "end-and-rotate" => {
            session.destroy();
            session.rotate();
        }
        "set-name-and-fail" => {
            session.set_name(argument);
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "set-name-and-give-up" => {
            session.set_name(argument);
            return status(StatusCode::REQUEST_TIMEOUT);
        }
        "set-name-and-panic" => {
            session.set_name(argument);
            panic!("as the scenario wants it");
        }
        "save-name-and-fail" => {
            session.set_name(argument);
            session.save().await?;
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        other => panic!("the kit has no `{other}`"),
    }
    text("done")
}

fn several(session: &mut TypedSession<Kit>, command: &str, argument: &str) {
    match command {
        // Two fields, so that half of it would show.
        "change-some" => {
            session.set_name(argument);
            session.set_count(session.count() + 1);
        }
        "count-up" => *session.count_mut() += 1,
        "nest" => session.profile_mut().address.lines.push(argument.to_owned()),
        // Lent out, and left as it was.
        "tags-same" => {
            session.tags_mut();
            session.set_count(session.count());
            let name = session.name().map(str::to_owned);
            if let Some(name) = name {
                session.set_name(name);
            }
        }
        "keep-notice" => {
            session.take_notice();
            session.keep_notice();
        }
        _ => {
            session.take_notice();
            session.flash_notice(argument);
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not such a number"))
}
