//! The requests of a browser, and their responses.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Instant,
};

use axum::http::{HeaderMap, Method, header};
use bytes::Bytes;
use sessions::testing::{Client, Response};

use super::random::SeededRandom;

/// The name of the default cookie.
const COOKIE: &str = "__Host-sid";

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskKind {
    Read,
    /// Adds to a counter that belongs to the user.
    Add,
    /// Adds to a counter that belongs to the browser (`keep_on_logout`).
    Click,
    /// Puts two fields to one number.
    Note,
    /// Puts a field that a login drops.
    Draft,
    /// Logs in, also in place of another user.
    Login,
    Logout,
    Destroy,
    Rotate,
    /// Sets a right.
    Grant,
    /// Removes a right.
    Revoke,
}

impl AskKind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Read,
        Self::Add,
        Self::Click,
        Self::Note,
        Self::Draft,
        Self::Login,
        Self::Logout,
        Self::Destroy,
        Self::Rotate,
        Self::Grant,
        Self::Revoke,
    ];

    /// Returns how many of a hundred requests are of each kind.
    const SHARES: [usize; 11] = [30, 18, 10, 14, 4, 7, 4, 2, 4, 4, 3];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Add => "add",
            Self::Click => "click",
            Self::Note => "note",
            Self::Draft => "draft",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::Destroy => "destroy",
            Self::Rotate => "rotate",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or(0)
    }

    /// Returns true if it gives a session a new secret.
    pub(crate) const fn rotates(self) -> bool {
        matches!(self, Self::Login | Self::Logout | Self::Rotate | Self::Grant | Self::Revoke)
    }

    /// Returns true if it begins a session if there is none.
    pub(crate) const fn creates(self) -> bool {
        matches!(self, Self::Add | Self::Click | Self::Note | Self::Draft | Self::Login | Self::Grant)
    }

    /// Returns true if a session that it begins holds a right.
    pub(crate) const fn gives_rights(self) -> bool {
        matches!(self, Self::Login | Self::Grant)
    }

    /// Returns true if it happens even if the response is a server error.
    const fn survives_failure(self) -> bool {
        matches!(self, Self::Logout | Self::Rotate | Self::Revoke | Self::Destroy)
    }

    fn any(random: &mut SeededRandom) -> Self {
        let mut drawn = random.below(Self::SHARES.iter().sum());
        for (kind, share) in Self::ALL.into_iter().zip(Self::SHARES) {
            if drawn < share {
                return kind;
            }
            drawn -= share;
        }
        Self::Read
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) kind: AskKind,
    /// The value that it puts, or the user that logs in. It is another one each time, with the browser's number in it.
    pub(crate) value: u64,
    /// The numbers of times that the handler lets others go first, before its changes and after them.
    pauses: [u32; 2],
    /// True if the handler answers with 500 after its changes.
    pub(crate) fails: bool,
    /// The number of polls after which the request is dropped.
    dropped_after: Option<u32>,
}

impl Ask {
    pub(crate) const fn new(kind: AskKind, value: u64) -> Self {
        Self { kind, value, pauses: [0; 2], fails: false, dropped_after: None }
    }

    /// Creates a request of any kind, whose handler lets others go first.
    pub(crate) fn any(value: u64, random: &mut SeededRandom) -> Self {
        let pauses = [random.number(3), random.number(3)];
        Self { pauses, ..Self::new(AskKind::any(random), value) }
    }

    pub(crate) fn with_long_pauses(self, random: &mut SeededRandom) -> Self {
        Self { pauses: [random.number(16), random.number(16)], ..self }
    }

    pub(crate) const fn with_failure(self) -> Self {
        Self { fails: true, ..self }
    }

    pub(crate) fn with_drop(self, random: &mut SeededRandom) -> Self {
        Self { dropped_after: Some(1 + random.number(12)), ..self.with_long_pauses(random) }
    }

    pub(crate) const fn is_to_be_dropped(&self) -> bool {
        self.dropped_after.is_some()
    }

    /// Returns true if it changes anything, once the handler has come to its response.
    pub(crate) const fn has_effect(&self) -> bool {
        !self.fails || self.kind.survives_failure()
    }

    /// Returns true if it replaces the secret of a session that exists.
    pub(crate) const fn rotates(&self) -> bool {
        self.kind.rotates() && self.has_effect()
    }

    /// Sends the request with this cookie.
    pub(crate) async fn send(self, app: Client, browser: u32, token: Option<Box<str>>) -> Shot {
        let Self { kind, value, pauses: [before, after], fails, .. } = self;
        let path = format!("/{}/{browser}/{value}/{before}/{after}/{fails}", kind.name());
        let tab = app.stranger();
        let sent = Instant::now();
        let answering = async {
            let mut headers = HeaderMap::new();
            // A token is always valid in a header.
            if let Some(cookie) = token.and_then(|token| format!("{COOKIE}={token}").parse().ok()) {
                headers.insert(header::COOKIE, cookie);
            }
            // A page would pass though its additions are refused.
            tab.request(Method::POST, &path, &headers, Bytes::new()).await
        };
        let response = match self.dropped_after {
            None => Some(answering.await),
            Some(polls) => at_most(polls, answering).await,
        };
        Shot { ask: self, sent, done: Instant::now(), answer: response.map(SoakAnswer::new) }
    }
}

/// A request that is over.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) ask: Ask,
    pub(crate) sent: Instant,
    pub(crate) done: Instant,
    /// The response. `None` if the request was dropped.
    pub(crate) answer: Option<SoakAnswer>,
}

#[derive(Debug)]
pub(crate) struct SoakAnswer {
    pub(crate) status: u16,
    pub(crate) text: Box<str>,
    pub(crate) cookie: Cookie,
}

/// The effect of a response on the browser's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    Kept,
    Set(Box<str>),
    Removed,
    /// An effect that no response may have.
    Strange,
}

impl SoakAnswer {
    fn new(response: Response) -> Self {
        let lines = response.set_cookies();
        let cookie = match &lines[..] {
            [] => Cookie::Kept,
            [line] => Cookie::read(line).unwrap_or(Cookie::Strange),
            _ => Cookie::Strange,
        };
        Self { status: response.status().as_u16(), text: response.text().into(), cookie }
    }
}

impl Cookie {
    fn read(line: &str) -> Option<Self> {
        let (value, attributes) = line.strip_prefix(COOKIE)?.strip_prefix('=')?.split_once(';')?;
        let is_removal = attributes.contains("Max-Age=0");
        match (value.is_empty(), is_removal) {
            (true, true) => Some(Self::Removed),
            (false, false) => Some(Self::Set(value.into())),
            _ => None,
        }
    }
}

/// Runs a future to its end, or drops it after this many polls.
async fn at_most<T>(polls: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
