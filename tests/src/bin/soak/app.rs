//! The application under load.

use axum::{Router, extract::Path, http::StatusCode, routing::post};
use sessions::{RecordId, Session, SessionLayer, Timeouts, TypedSession, store::AnyStore, testing::Client};

use super::ask::AskKind;

/// The response of the handler if there is no session.
pub(crate) const NOTHING: &str = "nothing";

#[derive(Session)]
struct SoakVisitor {
    /// The user.
    #[session(keep_on_logout)]
    browser: Option<u32>,
    #[session(keep_on_logout, merge = "add")]
    clicks: u64,
    #[session(merge = "add")]
    count: u64,
    /// One of two fields that are always put together, to the same number.
    left: u64,
    right: u64,
    #[session(drop_on_login)]
    draft: u64,
    #[session(identity)]
    user: Option<u64>,
    #[session(privilege)]
    role: Option<u64>,
}

/// The contents of the session that a request saw before it changed anything. Zero means an empty field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenSession {
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

/// Returns the application in front of this store.
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

type RouteArguments = Path<(String, u32, u64, u32, u32, bool)>;

async fn answer(
    Path((kind, browser, value, before, after, fails)): RouteArguments,
    mut session: TypedSession<SoakVisitor>,
) -> (StatusCode, String) {
    let Some(kind) = AskKind::parse(&kind) else { return (StatusCode::NOT_FOUND, kind) };
    let seen = seen(&session);
    pause(before).await;
    if kind.creates() && !session.has_browser() {
        session.set_browser(browser);
    }
    match kind {
        AskKind::Read => {}
        AskKind::Add => session.add_count(1),
        AskKind::Click => session.add_clicks(1),
        AskKind::Note => {
            session.set_left(value);
            session.set_right(value);
        }
        AskKind::Draft => session.set_draft(value),
        AskKind::Login => session.set_user(value),
        AskKind::Logout => session.remove_user(),
        AskKind::Destroy => session.destroy(),
        AskKind::Rotate => session.rotate(),
        AskKind::Grant => session.set_role(value),
        AskKind::Revoke => session.remove_role(),
    }
    pause(after).await;
    (if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }, seen)
}

/// Lets other requests go first.
async fn pause(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

fn seen(session: &TypedSession<SoakVisitor>) -> String {
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

impl SeenSession {
    /// Reads the contents that a handler saw.
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
