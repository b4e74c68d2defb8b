//! The rejections of a request whose session a handler cannot get.

use std::fmt;

use http::StatusCode;

use crate::error::{Error, ErrorKind};

/// The rejection of a request that has no typed session to give.
///
/// `Debug` shows only the status and the kind of the error, since some frameworks send it to the browser.
#[non_exhaustive]
pub enum SessionRejection {
    /// The route has no [`SessionLayer`](crate::SessionLayer) around it.
    MissingLayer(MissingLayer),
    /// The session could not be loaded.
    Failed(LoadFailed),
}

/// The rejection of a route without a [`SessionLayer`](crate::SessionLayer): add `.layer(SessionLayer::new(store))`.
///
/// The log names the cause (feature `tracing`), and the response does not.
// It stays empty, and tests construct one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct MissingLayer;

/// The rejection of a request whose session could not be loaded.
///
/// No anonymous session takes its place.
pub struct LoadFailed(Error);

impl From<Error> for LoadFailed {
    fn from(error: Error) -> Self {
        Self(error.in_request())
    }
}

impl SessionRejection {
    pub(crate) const fn missing_layer() -> Self {
        Self::MissingLayer(MissingLayer)
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self::Failed(error.into())
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
    /// The response's status: 500.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    /// The response's body.
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        "The session could not be read or stored."
    }
}

impl LoadFailed {
    /// The response's status: [`Error::status`].
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The response's body: [`Error::body_text`].
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        self.0.body_text()
    }

    pub(crate) fn into_error(self) -> Error {
        self.0
    }

    /// Returns the error behind it, for logs.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.0
    }
}

/// The rejection of a request that has no [`RecentLogin`](crate::RecentLogin) to give.
#[cfg(feature = "axum")]
#[derive(Debug)]
#[non_exhaustive]
pub enum RecentLoginRejection {
    /// The request has no session to give at all.
    Session(SessionRejection),
    /// No user is logged in, or the login is too old.
    TooOld(LoginTooOld),
}

/// The rejection of a request whose user is not logged in, or logged in too long ago.
// It stays empty, and tests construct one.
#[cfg(feature = "axum")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct LoginTooOld;

#[cfg(feature = "axum")]
impl RecentLoginRejection {
    /// The response's status: 403 if the login is missing or too old, else that of the [`SessionRejection`].
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

/// The response when a call on the session fails.
impl Error {
    /// Returns the status of a response with this error.
    ///
    /// It is 503 if the store failed, 409 if another request was first, 403 if a request from another site may not begin
    /// a session, and 500 otherwise.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.kind() {
            ErrorKind::Unavailable | ErrorKind::Unreadable | ErrorKind::OutcomeUnknown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::Conflict | ErrorKind::SessionLimit => StatusCode::CONFLICT,
            ErrorKind::CrossSite => StatusCode::FORBIDDEN,
            ErrorKind::InvalidField | ErrorKind::HeadSent | ErrorKind::Config => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Returns the body of a response with this error, without the store's own words.
    #[must_use]
    pub const fn body_text(&self) -> &'static str {
        match self.kind() {
            ErrorKind::Unavailable | ErrorKind::Unreadable | ErrorKind::OutcomeUnknown => {
                "The session store is unavailable; please try again later."
            }
            ErrorKind::Conflict => "The session was changed by another request; please try again.",
            ErrorKind::SessionLimit => "You are logged in in too many places; please log out in one of them.",
            ErrorKind::CrossSite => {
                "This request came from another site; please open this site first and try again."
            }
            ErrorKind::InvalidField | ErrorKind::HeadSent | ErrorKind::Config => {
                "The session could not be read or stored."
            }
        }
    }
}

impl fmt::Debug for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer(rejection) => {
                f.debug_tuple("MissingLayer").field(&rejection.status()).finish()
            }
            Self::Failed(rejection) => fmt::Debug::fmt(rejection, f),
        }
    }
}

impl fmt::Debug for LoadFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadFailed").field("kind", &self.0.kind()).field("status", &self.0.status()).finish()
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

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "connection to 10.0.0.5 refused";

    #[test]
    fn what_a_framework_may_send_to_the_browser_shows_the_status_and_the_kind() {
        let rejection = SessionRejection::failed(Error::unavailable(WORDS));
        assert_eq!(format!("{rejection:?}"), "LoadFailed { kind: Unavailable, status: 503 }");
        assert!(!rejection.to_string().contains(WORDS) && !rejection.body_text().contains(WORDS));
        let SessionRejection::Failed(failed) = &rejection else { panic!("it failed") };
        assert_eq!(format!("{:?}", failed.error()), "Error { kind: Unavailable, status: 503, .. }");
        let secret = Error::without_keys(&crate::value::FieldName::from_static("diagnosis"));
        let shown = format!("{:?}", SessionRejection::failed(secret));
        assert_eq!(shown, "LoadFailed { kind: Config, status: 500 }");
    }

    /// The log is for the program's author; a visitor need not know.
    #[test]
    fn a_missing_layer_is_nothing_for_the_visitor() {
        let rejection = SessionRejection::MissingLayer(MissingLayer);
        for text in [format!("{rejection:?}"), rejection.to_string(), rejection.body_text().to_owned()] {
            assert!(!text.contains("SessionLayer"), "{text}");
        }
        assert_eq!(rejection.status(), 500);
    }
}
