//! What the fuzz targets reach and nobody else does: only with `--cfg fuzzing`.

#[cfg(any(feature = "redis", feature = "webdis"))]
pub use crate::store::fuzzing_hash as hash;
#[cfg(feature = "webdis")]
pub use crate::store::fuzzing_webdis as webdis;
use crate::value::{Authority, Seal, Token};

/// The text of the token that is read from a cookie's value, if one is.
#[must_use]
pub fn token(value: &[u8]) -> Option<String> {
    Token::parse(value).map(|token| token.expose())
}

/// Whether these bytes are a seal of this version.
#[must_use]
pub fn is_seal(bytes: &[u8]) -> bool {
    Authority::read(&Seal::from_bytes(bytes.to_vec())).is_some()
}
