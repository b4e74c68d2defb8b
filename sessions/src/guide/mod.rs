//! A guide in ten pages, each readable alone. Every piece of code in it is compiled by the tests, most of it runs.
//!
//! | page | answers |
//! |---|---|
//! | [`first_session`] | how a struct becomes a session, what each field offers, when it is stored |
//! | [`logging_in`] | login, logout, roles, second factor, "stay logged in", recent logins |
//! | [`finding_sessions`] | a user's devices: listing, ending and limiting sessions |
//! | [`flash`] | a message that the next page shows once |
//! | [`overlapping_requests`] | two requests at once, errors, sockets and streams |
//! | [`stores`] | memory, SQLite, Redis, Webdis and their options |
//! | [`own_store`] | a store for another database |
//! | [`testing`] | a browser's cookie jar, a clock that the test moves, faults |
//! | [`deploying`] | HTTPS, cookies, several views, keys, timeouts, events, error pages, shutdown, changed views |
//! | [`security`] | what the library does by itself, and what it leaves to you |
//!
//! The pages exist in the documentation only, not as modules of a program.

#[doc = include_str!("first_session.md")]
#[cfg(any(not(doctest), all(feature = "axum", feature = "sqlite")))]
pub mod first_session {}

#[doc = include_str!("logging_in.md")]
#[cfg(any(not(doctest), feature = "axum"))]
pub mod logging_in {}

#[doc = include_str!("finding_sessions.md")]
#[cfg(any(not(doctest), feature = "axum"))]
pub mod finding_sessions {}

#[doc = include_str!("flash.md")]
#[cfg(any(not(doctest), feature = "axum"))]
pub mod flash {}

#[doc = include_str!("overlapping_requests.md")]
#[cfg(any(not(doctest), feature = "axum"))]
pub mod overlapping_requests {}

#[doc = include_str!("stores.md")]
#[cfg(any(not(doctest), all(feature = "sqlite", feature = "redis-tls", feature = "webdis-tls")))]
pub mod stores {}

#[doc = include_str!("own_store.md")]
#[cfg(any(not(doctest), feature = "test-util"))]
pub mod own_store {}

#[doc = include_str!("testing.md")]
#[cfg(any(not(doctest), feature = "test-util"))]
pub mod testing {}

#[doc = include_str!("deploying.md")]
#[cfg(any(not(doctest), all(feature = "axum", feature = "keys")))]
pub mod deploying {}

#[doc = include_str!("security.md")]
#[cfg(any(not(doctest), feature = "axum"))]
pub mod security {}
