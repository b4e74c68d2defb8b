//! The way to Webdis and back: with a real one, and with a peer that does what a real one does only
//! now and then.

mod connections;
mod errors;
mod exchange;
mod foreign;
mod late;
mod live;
mod peer;
#[cfg(feature = "webdis-tls")]
mod tls;

use std::{
    future::poll_fn,
    io::Write as _,
    net::{SocketAddr, TcpStream as StdTcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use self::{live::*, peer::*};
use super::{
    WebdisStoreBuilder,
    channels::{Channels, DRAIN_FOR, Limits, POISONED_AT_MOST},
    failure::{CallFailure, Reason},
    nonce::Nonce,
};
use crate::ErrorKind;

const ECHO: &[u8] = b"return ARGV[1]..ARGV[2]..ARGV[1]";

/// For what must happen. Never waited for in full unless the test fails.
const SOON: Duration = Duration::from_secs(30);

/// For callers that are to be let down. No call that is to succeed has it.
const BRIEF: Duration = Duration::from_millis(300);

type CommitOutcome = Result<Bytes, CallFailure>;

/// Asks for a value to be sent back.
async fn echo(channels: &Channels, value: &[u8]) -> CommitOutcome {
    let nonce = Nonce::new().unwrap();
    within(channels.call(&[b"EVAL", ECHO, b"0", nonce.as_bytes(), value], &nonce)).await
}

/// The same in a task.
fn start_echo(channels: &Arc<Channels>, value: &str) -> JoinHandle<CommitOutcome> {
    let (channels, value) = (Arc::clone(channels), value.to_owned());
    tokio::spawn(async move { echo(&channels, value.as_bytes()).await })
}

fn reason(answer: CommitOutcome) -> Reason {
    match answer {
        Err(CallFailure::Unproven { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The text of an error for a call that certainly did not happen.
fn not_sent(answer: CommitOutcome) -> String {
    match answer {
        Err(CallFailure::NotSent(error)) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            std::error::Error::source(&error).unwrap().to_string()
        }
        other => panic!("{other:?}"),
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("this takes too long")
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn is_pending<T>(task: &JoinHandle<T>) -> bool {
    !task.is_finished()
}
