//! The user and the password that the store logs in with, and where they come from.

use std::{error::Error as StdError, fmt, io, pin::Pin, sync::Arc};

use redis::RedisError;

/// A user and password of Redis.
#[derive(Clone)]
pub struct RedisLogin {
    pub(super) user: Option<String>,
    pub(super) password: String,
}

/// The error of a login provider.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// A callback that returns user and password.
pub(super) type LoginProvider =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<RedisLogin, BoxError>> + Send>> + Send + Sync>;

/// The source of the login of a connection.
#[derive(Clone)]
pub(super) enum LoginSource {
    /// Connections do not log in.
    Unset,
    /// One login for all connections.
    Fixed(RedisLogin),
    /// A callback that is called for each connection.
    Provider(LoginProvider),
}

impl RedisLogin {
    /// Creates a login of a named user.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some(user.into()), password: password.into() }
    }

    /// Creates a login of the user `default`, with a password alone (`requirepass`).
    pub fn with_password(password: impl Into<String>) -> Self {
        Self { user: None, password: password.into() }
    }
}

impl fmt::Debug for RedisLogin {
    /// Shows neither user nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLogin").finish_non_exhaustive()
    }
}

impl LoginSource {
    /// Returns the login for a new connection; `None` if connections do not log in.
    pub(super) async fn login(&self) -> Result<Option<RedisLogin>, RedisError> {
        match self {
            Self::Unset => Ok(None),
            Self::Fixed(login) => Ok(Some(login.clone())),
            Self::Provider(provider) => {
                provider().await.map(Some).map_err(|error| LoginProviderFailed(error).into())
            }
        }
    }
}

/// The error of a login provider, on its way through the errors of the client library.
#[derive(Debug)]
pub(super) struct LoginProviderFailed(BoxError);

impl fmt::Display for LoginProviderFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the callback of `with_login_provider` failed: {}", self.0)
    }
}

impl StdError for LoginProviderFailed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl From<LoginProviderFailed> for RedisError {
    fn from(error: LoginProviderFailed) -> Self {
        io::Error::other(error).into()
    }
}
