//! Extraction in axum handlers. No other module knows axum.

use std::{
    fmt,
    ops::Deref,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::{
    error::Error,
    handle::{Handle, table::Table},
    layer::{RequestSession, SessionError, report_missing_layer},
    rejection::{LoginTooOld, RecentLoginRejection, SessionRejection},
};

#[doc(hidden)]
pub use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
#[doc(hidden)]
pub use http::request::Parts as RequestParts;

/// Opens the session of a request for a view with this table, in the handle that `wrap` makes of it.
///
/// The futures have names and are boxed inside. Otherwise the compiler would have to prove for each handle, through
/// everything that they wait for, that they are `Send`.
#[doc(hidden)]
pub fn extract<'a, H>(parts: &'a mut Parts, table: &'static Table, wrap: fn(Handle) -> H) -> Extract<'a, H> {
    Extract { opening: Box::pin(open(parts, table)), wrap }
}

/// Opens the session of a request as [`extract`] does, or gives `None` if the request has no live session.
#[doc(hidden)]
pub fn extract_live<'a, H>(
    parts: &'a mut Parts,
    table: &'static Table,
    wrap: fn(Handle) -> H,
) -> ExtractLive<'a, H> {
    ExtractLive { opening: Box::pin(open(parts, table)), wrap }
}

type Opening<'a> = Pin<Box<dyn Future<Output = Result<(Handle, bool), SessionRejection>> + Send + 'a>>;

async fn open(parts: &mut Parts, table: &'static Table) -> Result<(Handle, bool), SessionRejection> {
    let Some(session) = parts.extensions.get::<RequestSession>() else {
        report_missing_layer(parts);
        return Err(SessionRejection::missing_layer());
    };
    session.admit(table).map_err(SessionRejection::failed)?;
    let (slot, headers) = (session.slot(), &parts.headers);
    Handle::open(slot, table, || session.presented(headers)).await.map_err(SessionRejection::failed)
}

#[doc(hidden)]
pub struct Extract<'a, H> {
    opening: Opening<'a>,
    wrap: fn(Handle) -> H,
}

impl<H> Future for Extract<'_, H> {
    type Output = Result<H, SessionRejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = ready!(self.opening.as_mut().poll(cx));
        Poll::Ready(opened.map(|(handle, _)| (self.wrap)(handle)))
    }
}

#[doc(hidden)]
pub struct ExtractLive<'a, H> {
    opening: Opening<'a>,
    wrap: fn(Handle) -> H,
}

impl<H> Future for ExtractLive<'_, H> {
    type Output = Result<Option<H>, SessionRejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = ready!(self.opening.as_mut().poll(cx));
        Poll::Ready(opened.map(|(handle, is_live)| is_live.then(|| (self.wrap)(handle))))
    }
}

impl<H> fmt::Debug for Extract<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extract")
    }
}

impl<H> fmt::Debug for ExtractLive<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtractLive")
    }
}

/// The session of a user whose last login is at most `SECONDS` seconds ago.
///
/// It is for what needs more than a cookie, such as a change of the password (OWASP ASVS 5.0, 7.5.1 to 7.5.3). Other requests
/// are refused with [`RecentLoginRejection`], a 403 that asks for a login. A handler that redirects to the login's page
/// takes a `Result<RecentLogin<…>, RecentLoginRejection>`.
///
/// ```
/// use sessions::{RecentLogin, Session, TypedSession};
///
/// #[derive(Session)]
/// struct User {
///     #[session(identity)]
///     id: Option<u64>,
/// }
///
/// // A quarter of an hour.
/// async fn change_password(RecentLogin(user): RecentLogin<TypedSession<User>, 900>) -> String {
///     format!("for user {:?}", user.id())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(change_password));
/// ```
pub struct RecentLogin<T, const SECONDS: u64>(pub T);

impl<T, S, const SECONDS: u64> FromRequestParts<S> for RecentLogin<T, SECONDS>
where
    T: FromRequestParts<S, Rejection = SessionRejection> + Deref<Target = Handle>,
    S: Send + Sync,
{
    type Rejection = RecentLoginRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = T::from_request_parts(parts, state).await.map_err(RecentLoginRejection::Session)?;
        if session.was_authenticated_within(Duration::from_secs(SECONDS)) {
            Ok(Self(session))
        } else {
            Err(RecentLoginRejection::TooOld(LoginTooOld))
        }
    }
}

impl<T: fmt::Debug, const SECONDS: u64> fmt::Debug for RecentLogin<T, SECONDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecentLogin").field(&self.0).finish()
    }
}

/// A response, so that a handler that returns `Result<_, sessions::Error>` can write `session.save().await?`.
///
/// The response has a [`SessionError`] among its extensions. The layer renders it as it does its own
/// ([`with_error_response`](crate::SessionLayer::with_error_response)).
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.body_text()).into_response();
        response.extensions_mut().insert(SessionError::new(self));
        response
    }
}

impl IntoResponse for RecentLoginRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Session(rejection) => rejection.into_response(),
            Self::TooOld(_) => (self.status(), self.body_text()).into_response(),
        }
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingLayer(rejection) => (rejection.status(), rejection.body_text()).into_response(),
            Self::Failed(rejection) => rejection.into_error().into_response(),
        }
    }
}
