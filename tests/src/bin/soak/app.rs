//! The application.

use axum::{Router, extract::Path, http::StatusCode, routing::post};
use sessions::{RecordId, Session, SessionLayer, Timeouts, TypedSession, store::AnyStore, testing::Client};

use super::ask::Kind;

/// What the handler answers if there is no session.
pub(crate) const NOTHING: &str = "nothing";

#[derive(Session)]
struct Visitor {
    /// Whose it is.
    #[session(keep_on_logout)]
    browser: Option<u32>,
    #[session(keep_on_logout, merge = "add")]
    clicks: u64,
    #[session(merge = "add")]
    count: u64,
    /// Both are put in one commit, always to the same number.
    left: u64,
    right: u64,
    #[session(drop_on_login)]
    draft: u64,
    #[session(identity)]
    user: Option<u64>,
    #[session(privilege)]
    role: Option<u64>,
}

/// What a request saw of its session before it changed anything; zero is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) record: RecordId,
    pub(crate) browser: Option<u32>,
    pub(crate) clicks: u64,
    pub(crate) count: u64,
    pub(crate) left: u64,
    pub(crate) right: u64,
    pub(crate) draft: u64,
    pub(crate) user: u64,
    pub(crate) role: u64,
}

/// The application in front of this store.
pub(crate) fn client(
    store: AnyStore,
    timeouts: Timeouts,
    store_failed: impl Fn() + Send + Sync + 'static,
) -> Client {
    let layer = SessionLayer::new(store).with_timeouts(timeouts).with_event_hook(move |event| {
        if let sessions::Event::CommitFailed { error, .. } = event
            && error.kind() != sessions::ErrorKind::Conflict
        {
            eprintln!("a commit failed: {error}: {:?}", std::error::Error::source(error));
            store_failed();
        }
    });
    let routes = Router::new().route("/{kind}/{browser}/{value}/{before}/{after}/{fails}", post(answer));
    Client::new(routes.layer(layer))
}

type Arguments = Path<(String, u32, u64, u32, u32, bool)>;

async fn answer(
    Path((kind, browser, value, before, after, fails)): Arguments,
    mut session: TypedSession<Visitor>,
) -> (StatusCode, String) {
    let Some(kind) = Kind::parse(&kind) else { return (StatusCode::NOT_FOUND, kind) };
    let seen = seen(&session);
    pause(before).await;
    if kind.creates() && !session.has_browser() {
        session.set_browser(browser);
    }
    match kind {
        Kind::Read => {}
        Kind::Add => session.add_count(1),
        Kind::Click => session.add_clicks(1),
        Kind::Note => {
            session.set_left(value);
            session.set_right(value);
        }
        Kind::Draft => session.set_draft(value),
        Kind::Login => session.set_user(value),
        Kind::Logout => session.remove_user(),
        Kind::Destroy => session.destroy(),
        Kind::Rotate => session.rotate(),
        Kind::Grant => session.set_role(value),
        Kind::Revoke => session.remove_role(),
    }
    pause(after).await;
    (if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }, seen)
}

/// Lets others go first.
async fn pause(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

fn seen(session: &TypedSession<Visitor>) -> String {
    let Some(record) = session.record_id() else { return NOTHING.to_owned() };
    let browser = session.browser().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (user, role) = (session.user().unwrap_or(0), session.role().unwrap_or(0));
    format!(
        "{record} {browser} {} {} {} {} {} {user} {role}",
        session.clicks(),
        session.count(),
        session.left(),
        session.right(),
        session.draft(),
    )
}

impl Seen {
    /// Reads what a handler saw.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let record = RecordId::parse(words.next()?)?;
        let browser = match words.next()? {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        let mut number = || words.next()?.parse().ok();
        Some(Self {
            record,
            browser,
            clicks: number()?,
            count: number()?,
            left: number()?,
            right: number()?,
            draft: number()?,
            user: number()?,
            role: number()?,
        })
    }
}
