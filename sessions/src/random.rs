//! Random bytes from the operating system.

use std::cell::RefCell;

use crate::error::Error;

/// The number of bytes that one system call draws. A system call costs as much as the rest of a session's creation.
const POOL: usize = 1024;

/// The bytes of one thread that were drawn and not given out yet. Each is given out once and then overwritten.
struct Pool {
    bytes: [u8; POOL],
    left: usize,
}

thread_local! {
    static UNUSED: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], left: 0 }) };
}

/// Returns `N` random bytes fit for secrets, or an error of kind `Unavailable` if the operating system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    const { assert!(N <= POOL) };
    UNUSED.with_borrow_mut(|pool| {
        if pool.left < N {
            getrandom::fill(&mut pool.bytes).map_err(Error::unavailable)?;
            pool.left = POOL;
        }
        let source = &mut pool.bytes[pool.left - N..pool.left];
        let mut bytes = [0; N];
        bytes.copy_from_slice(source);
        source.fill(0);
        pool.left -= N;
        Ok(bytes)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_given_out_twice() {
        let drawn: HashSet<[u8; 16]> = (0..10_000).map(|_| bytes().unwrap()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert!(drawn.iter().all(|bytes| *bytes != [0; 16]));
    }
}
