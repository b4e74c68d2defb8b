//! Calls to a real Webdis, and to a peer that does at will what a real one does only now and then.

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

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use self::{live::*, peer::*};
use super::{
    WebdisStoreBuilder,
    call::CallResult,
    client::WebdisClient,
    failure::{CallFailure, Reason},
    nonce::Nonce,
    pool::{DRAIN_FOR, Limits, MAX_QUARANTINED},
};
use crate::ErrorKind;

const ECHO: &[u8] = b"return ARGV[1]..ARGV[2]..ARGV[1]";

/// The time for something that must happen. It passes in full only if the test fails.
const SOON: Duration = Duration::from_secs(30);

/// The timeout of calls that must time out. No call that must succeed has it.
const BRIEF: Duration = Duration::from_millis(300);

/// Makes a call that returns this value.
async fn echo(client: &WebdisClient, value: &[u8]) -> CallResult {
    let nonce = Nonce::new().unwrap();
    within(client.call(&[b"EVAL", ECHO, b"0", nonce.as_bytes(), value], &nonce)).await
}

/// Makes the call in a task.
fn start_echo(client: &Arc<WebdisClient>, value: &str) -> JoinHandle<CallResult> {
    let (client, value) = (Arc::clone(client), value.to_owned());
    tokio::spawn(async move { echo(&client, value.as_bytes()).await })
}

fn reason(answer: CallResult) -> Reason {
    match answer {
        Err(CallFailure::Unverified { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Returns the text of the error of a call that certainly did not happen.
fn not_sent(answer: CallResult) -> String {
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

/// Waits until a condition holds.
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
