//! What the fuzz targets reach and nobody else does: only with `--cfg fuzzing`.

#[cfg(any(feature = "redis", feature = "webdis"))]
pub use crate::store::fuzzing_hash as hash;
#[cfg(feature = "webdis")]
pub use crate::store::fuzzing_webdis as webdis;
use crate::value::Token;

/// The text of the token that is read from a cookie's value, if one is.
#[must_use]
pub fn token(value: &[u8]) -> Option<String> {
    Token::parse(value).map(|token| token.expose())
}
