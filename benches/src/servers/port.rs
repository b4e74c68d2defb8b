//! A port for a server of our own.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
