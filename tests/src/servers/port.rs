//! A port of 127.0.0.1 that no other test gets while it is held, across restarts of the server on it.

use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// The range of the ports, below those that the kernel gives to clients (32768 and up on Linux). A port of port 0
/// could go to a client while the server on it restarts.
const RANGE: Range<u16> = 10_000..32_000;

/// The next port. It starts at random, so that test binaries at the same time seldom try the same ports.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let [high, low, ..] = RandomState::new().hash_one(std::process::id()).to_be_bytes();
    AtomicU16::new(u16::from_be_bytes([high, low]))
});

/// A port for a server.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    /// The reservation. The servers use TCP only, and the kernel frees this socket with the process.
    _held: UdpSocket,
}

impl Port {
    /// Takes a port on which no process listens.
    pub(super) fn take() -> Self {
        RANGE
            .map(|_| RANGE.start + NEXT.fetch_add(1, Ordering::Relaxed) % (RANGE.end - RANGE.start))
            .find_map(|number| {
                let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
                TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
                Some(Self { number, _held: held })
            })
            .expect("a free port")
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}
