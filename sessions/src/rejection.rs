//! What a handler is refused with when its session cannot be had.

use std::fmt;

use http::StatusCode;

use crate::error::{Error, ErrorKind};

/// Why a request has no typed session to give.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionRejection {
    /// There is no [`SessionLayer`](crate::SessionLayer) around the route.
    MissingLayer(MissingLayer),
    /// The session could not be loaded.
    Failed(LoadFailed),
}

/// There is no [`SessionLayer`](crate::SessionLayer) around the route.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MissingLayer;

/// The session could not be loaded: never an anonymous one in its place.
#[derive(Debug)]
pub struct LoadFailed(Error);

impl SessionRejection {
    pub(crate) const fn missing_layer() -> Self {
        Self::MissingLayer(MissingLayer)
    }

    pub(crate) const fn failed(error: Error) -> Self {
        Self::Failed(LoadFailed(error))
    }

    /// The response's status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::MissingLayer(rejection) => rejection.status(),
            Self::Failed(rejection) => rejection.status(),
        }
    }

    /// The response's body.
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        match self {
            Self::MissingLayer(rejection) => rejection.body_text(),
            Self::Failed(rejection) => rejection.body_text(),
        }
    }
}

impl MissingLayer {
    /// 500.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    /// The response's body.
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        "This route takes a session but has none: add `.layer(SessionLayer::new(store))` around it."
    }
}

impl LoadFailed {
    /// As [`Error::status`].
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// As [`Error::body_text`].
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        self.0.body_text()
    }

    /// The error behind it, for logs.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.0
    }
}

/// Why a request has no [`RecentLogin`](crate::RecentLogin) to give.
#[cfg(feature = "axum")]
#[derive(Debug)]
#[non_exhaustive]
pub enum RecentLoginRejection {
    /// It has no session to give at all.
    Session(SessionRejection),
    /// Nobody is logged in, or the login is too old.
    TooOld(LoginTooOld),
}

/// Nobody is logged in, or the login is too old.
#[cfg(feature = "axum")]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoginTooOld;

#[cfg(feature = "axum")]
impl RecentLoginRejection {
    /// 403 if the login is too old, else as [`SessionRejection::status`].
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Session(rejection) => rejection.status(),
            Self::TooOld(LoginTooOld) => StatusCode::FORBIDDEN,
        }
    }

    /// The response's body.
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        match self {
            Self::Session(rejection) => rejection.body_text(),
            Self::TooOld(LoginTooOld) => "This needs a recent login; please log in again.",
        }
    }
}

#[cfg(feature = "axum")]
impl fmt::Display for RecentLoginRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.body_text())
    }
}

#[cfg(feature = "axum")]
impl std::error::Error for RecentLoginRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Session(rejection) => rejection.source(),
            Self::TooOld(_) => None,
        }
    }
}

/// What to answer when a call on the session fails.
impl Error {
    /// The status of a response that this error ends: 503 if the store failed, 409 if another
    /// request was first, else 500.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.kind() {
            ErrorKind::Unavailable | ErrorKind::Unreadable | ErrorKind::Unknown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::Refused => StatusCode::CONFLICT,
            ErrorKind::InvalidField | ErrorKind::HeadSent | ErrorKind::Config => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The body of a response that this error ends: nothing of the store's own words.
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        match self.kind() {
            ErrorKind::Unavailable | ErrorKind::Unreadable | ErrorKind::Unknown => {
                "The session store is unavailable; please try again later."
            }
            ErrorKind::Refused => "The session was changed by another request; please try again.",
            ErrorKind::InvalidField | ErrorKind::HeadSent | ErrorKind::Config => {
                "The session could not be read or stored."
            }
        }
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.body_text())
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MissingLayer(_) => None,
            Self::Failed(rejection) => Some(&rejection.0),
        }
    }
}
