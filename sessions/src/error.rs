//! The one error type of the library.

use std::{error::Error as StdError, fmt};

use serde_json::error::Category;

use crate::value::FieldName;

/// An error of a session or of its store.
///
/// [`kind`](Self::kind) says what a program can do about it, and `source` is the store's own error. Neither shows a token,
/// a secret or a field's value.
///
/// `Display` and `source` are for logs. `Debug` never shows the store's own error. For an error of a request it shows only
/// the kind and the [`status`](Self::status), since some frameworks send `Debug` to the browser.
///
/// ```
/// use sessions::{Error, ErrorKind};
///
/// let error = Error::unavailable("connection refused");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert!(error.is_retryable());
/// assert_eq!(error.status(), 503);
/// ```
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// True if a request met it, so that it may get into a response.
    is_of_request: bool,
    /// True if the record is still the request's, and only a field of it was not as it had to be.
    is_of_field: bool,
    /// The field that was not any more as it had to be.
    changed: Option<FieldName>,
}

/// The kind of an [`Error`], by what a program can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store failed, and nothing was written. The same call may succeed later.
    Unavailable,
    /// The outcome of a write is not known: it happened wholly or not at all. A program that must not write twice reads
    /// the session before it tries again.
    OutcomeUnknown,
    /// The stored record cannot be read, for example one of a later version of the library. The layer treats its
    /// token as unknown.
    Unreadable,
    /// Another request ended the session, changed its credentials, or changed a field that was to stay as it was
    /// loaded. Nothing was written.
    Conflict,
    /// The user is logged in to as many sessions as the layer allows
    /// ([`with_login_limit`](crate::SessionLayer::with_login_limit)). Nothing was written.
    SessionLimit,
    /// A field's value cannot be stored, or a stored one cannot be read. Nothing was written.
    InvalidField,
    /// The response head has left, so no cookie can be sent any more. Nothing was written.
    HeadSent,
    /// The request comes from another site without the session cookie, which the browser may have kept back
    /// (`SameSite`). A new session would replace the browser's own, so nothing was written.
    CrossSite,
    /// An option of the layer, of a store or of a view is wrong.
    Config,
}

impl Error {
    /// Makes the error of a store that failed and wrote nothing, with its own error as the source.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unavailable, "the session store is unavailable").with_source(source)
    }

    /// Makes the error of a store whose write may have happened or not, with its own error as the source.
    pub fn outcome_unknown(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::OutcomeUnknown, "the outcome of a session commit is unknown").with_source(source)
    }

    /// Makes the error of a record that is there and cannot be read, with the reason as the source.
    ///
    /// The error of a store that fails is [`unavailable`](Self::unavailable).
    pub fn unreadable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unreadable, "the stored session cannot be read").with_source(source)
    }

    /// Makes the error of a wrong option. The message says what is wrong, and what to write instead.
    pub fn config(message: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn conflict(message: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn ended_meanwhile() -> Self {
        Self::conflict(
            "the session ended while the request ran, so nothing was written; let the user begin again",
        )
    }

    pub(crate) fn superseded() -> Self {
        Self::conflict(
            "the session got another cookie while the request ran, so nothing was written; send the request again",
        )
    }

    pub(crate) fn session_ended() -> Self {
        Self::conflict(
            "this request has ended the session, so the handle writes nothing more; call `save()` before `destroy()`",
        )
    }

    pub(crate) fn head_sent() -> Self {
        Self::new(
            ErrorKind::HeadSent,
            "the response head has left, so the cookie of a new or rotated session cannot be sent; \
             call `save().await` before the handler returns",
        )
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            ErrorKind::CrossSite,
            "a request from another site came without the session cookie, which the browser may have kept back \
             (`SameSite`), so no session begins; lead the browser to a page of this site first, and write there",
        )
    }

    pub(crate) fn cross_site_login() -> Self {
        Self::new(
            ErrorKind::CrossSite,
            "a login by a request from another site that came without the session cookie is refused (login CSRF); \
             lead the browser to a page of this site first, or admit it with \
             `SessionLayer::with_cross_site_logins()`, if the handler relies on what an identity provider signed \
             for this very request",
        )
    }

    pub(crate) fn invalid_field(name: &FieldName, reason: &str) -> Self {
        let message = format!("the session field `{name}` {reason}");
        Self { is_of_field: true, ..Self::new(ErrorKind::InvalidField, message) }
    }

    pub(crate) fn field_too_large(name: &FieldName, most: usize) -> Self {
        let advice =
            "keep it elsewhere and its key in the session, or raise `SessionLayer::with_size_limits`";
        Self::invalid_field(name, &format!("takes more than {most} bytes as JSON; {advice}"))
    }

    /// Makes the error of a record that would be too large; `largest` is the field that adds most.
    pub(crate) fn record_too_large(most: usize, largest: Option<&FieldName>) -> Self {
        let advice = "keep large things elsewhere, or raise `SessionLayer::with_size_limits`";
        let of = largest.map(|name| format!(" with what the field `{name}` is set to")).unwrap_or_default();
        let message = format!("the session would take more than {most} bytes{of}; {advice}");
        Self { is_of_field: true, ..Self::new(ErrorKind::InvalidField, message) }
    }

    /// Makes the error of a collection that would have too many entries.
    pub(crate) fn too_many_entries(collection: &FieldName, most: usize) -> Self {
        let advice =
            "keep them elsewhere and a key in the session, or raise `SessionLayer::with_max_entries`";
        Self::invalid_field(collection, &format!("would have more than {most} entries; {advice}"))
    }

    pub(crate) fn without_keys(name: &FieldName) -> Self {
        Self::config(format!(
            "the session field `{name}` is `secret`, and the layer has no keys; write `SessionLayer::new(store).with_keys(ring)`"
        ))
    }

    pub(crate) fn later_login() -> Self {
        Self::conflict("a user has logged in since the request began, and stays logged in; log out again")
    }

    pub(crate) fn revoked() -> Self {
        Self::conflict(
            "the sessions of this user were ended while the request ran, so it logs no user in; log in again",
        )
    }

    pub(crate) fn too_many_sessions(most: usize) -> Self {
        Self::new(
            ErrorKind::SessionLimit,
            format!(
                "the user is logged in to {most} sessions, which is the layer's limit, so this login is refused; end one \
                 of them first, or write `LoginLimit::evict_oldest({most})`"
            ),
        )
    }

    pub(crate) fn without_index() -> Self {
        Self::config(
            "the session store cannot find sessions by a field; use one that implements `store::CanIndex`, such as \
             `MemoryStore` or `SqliteStore`",
        )
    }

    pub(crate) fn index_of_field(name: &FieldName) -> Self {
        Self::config(format!(
            "the session field `{name}` is `index`, and the session store cannot find sessions by a field; use a store \
             that implements `store::CanIndex`, or remove `index`"
        ))
    }

    pub(crate) fn undeclared_right(name: &FieldName) -> Self {
        Self::config(format!(
            "the session field `{name}` is a right in another view, and not in this one; write `privilege` or \
             `identity` here too, or another name with `rename`"
        ))
    }

    pub(crate) fn contradicting_views(name: &FieldName) -> Self {
        Self::config(format!(
            "the session field `{name}` is `keep_on_logout` in this view and `drop_on_login` in another, which takes \
             precedence; write the same in both"
        ))
    }

    pub(crate) fn changed_meanwhile(name: &FieldName) -> Self {
        let what = match name.group() {
            Some(group) => format!("a session field of the group `{group}`"),
            None => format!("the session field `{name}`"),
        };
        let message = format!(
            "{what} was changed by another request or handle since it was loaded, so nothing was written; send the \
             request again, or make the change in `update(…)`"
        );
        Self { is_of_field: true, changed: Some(name.clone()), ..Self::conflict(message) }
    }

    pub(crate) fn not_an_integer(name: &FieldName) -> Self {
        Self::invalid_field(name, "holds something that is not an integer of 64 bits; `reset_…` it")
    }

    /// Returns the kind, which says what a program can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns true if the record is still the request's, and only a field of it was not as it had to be.
    pub(crate) const fn is_of_field(&self) -> bool {
        self.is_of_field
    }

    /// Returns the field that another request or handle changed, if the write failed for nothing else.
    pub(crate) const fn changed_field(&self) -> Option<&FieldName> {
        self.changed.as_ref()
    }

    /// Returns true if the same call may succeed later and would not happen twice.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable)
    }

    /// Copies the error for one more of several requests that wait for one operation.
    pub(crate) fn duplicate(&self) -> Self {
        let source = self.source.as_ref().map(|source| source.to_string().into());
        let Self { kind, is_of_request, is_of_field, .. } = *self;
        let changed = self.changed.clone();
        Self { kind, message: self.message.clone(), source, is_of_request, is_of_field, changed }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks the error as one of a request.
    pub(crate) fn in_request(mut self) -> Self {
        self.is_of_request = true;
        self
    }

    /// Replaces the message.
    #[cfg(any(feature = "redis", feature = "sqlite", feature = "webdis"))]
    pub(crate) fn with_message(mut self, message: impl Into<Box<str>>) -> Self {
        self.message = message.into();
        self
    }

    fn new(kind: ErrorKind, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            is_of_request: false,
            is_of_field: false,
            changed: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Error");
        shown.field("kind", &self.kind).field("status", &self.status().as_u16());
        if self.is_of_request {
            return shown.finish_non_exhaustive();
        }
        shown.field("message", &self.message).finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Returns the fault of a stored text and its place, without the value, which serde's own messages quote.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Data => "JSON of another type",
        Category::Syntax | Category::Io => "not JSON",
        Category::Eof => "cut off",
    };
    // A value that serde buffers first, as for a tagged enum, has no position.
    if error.line() == 0 {
        return what.to_owned();
    }
    format!("{what}, at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "FATAL: password authentication failed for user shop at 10.0.0.5";

    /// Some frameworks send it to the browser.
    #[test]
    fn debug_shows_nothing_of_the_stores_own_error() {
        for error in [
            Error::unavailable(WORDS),
            Error::outcome_unknown(WORDS),
            Error::config("wrong").with_source(WORDS),
        ] {
            for error in [error.duplicate(), error.in_request()] {
                let shown = format!("{error:?} {error:#?}");
                assert!(!shown.contains("FATAL"), "{shown}");
                assert!(shown.contains(&format!("{:?}", error.kind())), "{shown}");
                assert!(shown.contains(error.status().as_str()), "{shown}");
                assert!(
                    StdError::source(&error).is_some_and(|source| source.to_string() == WORDS),
                    "for logs"
                );
            }
        }
        let shown = format!("{:?}", Error::config("write `__Secure-`").in_request());
        assert_eq!(shown, "Error { kind: Config, status: 500, .. }");
        let shown = format!("{:?}", Error::config("write `__Secure-`"));
        assert!(shown.contains("write `__Secure-`"), "what `main` returns is told: {shown}");
    }
}
