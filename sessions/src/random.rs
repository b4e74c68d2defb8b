//! Random bytes from the operating system.

use crate::error::Error;

/// `N` bytes fit for secrets.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::unavailable)?;
    Ok(bytes)
}
