//! Keeps requests in flight for a while and measures them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use futures::future::{BoxFuture, FutureExt};
use tokio::runtime::Runtime;
use tower::Service;

use crate::app::App;
use crate::cpu;
use crate::servers::Servers;
use crate::workload::Workload;

/// What one turn of one contender gave. CPU time is per request, in microseconds.
#[derive(Clone)]
pub struct Sample {
    pub per_second: f64,
    /// Of this process.
    pub cpu_us: f64,
    /// Of each of the store's servers.
    pub servers_us: Vec<f64>,
}

/// What to send.
#[derive(Clone)]
pub struct Load {
    pub workload: Workload,
    pub in_flight: usize,
    pub cookies: Arc<[HeaderValue]>,
}

/// The number of requests after which a requester yields. If it never waits and never yielded, it would keep its worker
/// for itself. A yield at every request would be a large part of the measured time.
pub const REQUESTS_PER_YIELD: u64 = 32;

/// Sends requests for `turn`, by as many requesters as requests are to be in flight. Each waits for its answer before it
/// sends the next.
pub fn drive(runtime: &Runtime, app: &App, servers: &Servers, load: &Load, turn: Duration) -> Result<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let servers_before = servers.cpu_used()?;
    let cpu_before = cpu::used();
    let start = Instant::now();
    let requesters = spawn(runtime, app, load, &stop);
    // The clock runs on this thread: a timer of the busy runtime would be late.
    while start.elapsed() < turn && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(10).min(turn));
    }
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for requester in requesters {
        requests += runtime.block_on(requester)?;
    }
    let elapsed = start.elapsed();
    let cpu = cpu::used() - cpu_before;
    let servers = servers.cpu_used()?.into_iter().zip(servers_before).map(|(after, before)| after - before);
    let per_request = |cpu: Duration| cpu.as_secs_f64() * 1e6 / requests as f64;
    Ok(Sample {
        per_second: requests as f64 / elapsed.as_secs_f64(),
        cpu_us: per_request(cpu),
        servers_us: servers.map(per_request).collect(),
    })
}

/// Starts the requesters. Each returns the number of requests that it has sent when it is stopped.
fn spawn(
    runtime: &Runtime,
    app: &App,
    load: &Load,
    stop: &Arc<AtomicBool>,
) -> Vec<BoxFuture<'static, Result<u64>>> {
    match app {
        App::Axum(router) => (0..load.in_flight)
            .map(|first| {
                let requester = run(Requester {
                    router: router.clone(),
                    uri: Uri::from_static(load.workload.path()),
                    cookies: load.workload.sends_cookie().then(|| load.cookies.clone()),
                    first,
                    step: load.in_flight,
                    stop: stop.clone(),
                });
                let running = runtime.spawn(requester);
                async { running.await? }.boxed()
            })
            .collect(),
        App::Actix(threads) => threads.drive(load, stop),
    }
}

/// A client that sends one request after the other.
struct Requester {
    router: Router,
    uri: Uri,
    cookies: Option<Arc<[HeaderValue]>>,
    /// The first of its sessions: it has `first`, `first + step` and so on. No two requesters share one, so that the
    /// bench does not compare locks on a session.
    first: usize,
    step: usize,
    stop: Arc<AtomicBool>,
}

async fn run(mut requester: Requester) -> Result<u64> {
    let mut requests = 0;
    let mut next = requester.first;
    while !requester.stop.load(Ordering::Relaxed) {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = requester.uri.clone();
        if let Some(cookies) = &requester.cookies {
            let cookie = cookies[next].clone();
            request.headers_mut().insert(header::COOKIE, cookie);
            next += requester.step;
            if next >= cookies.len() {
                next = requester.first;
            }
        }
        let response = requester.router.call(request).await?;
        if response.status() != StatusCode::OK {
            requester.stop.store(true, Ordering::Relaxed);
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
            return Err(anyhow!("a request was answered with an error: {}", String::from_utf8_lossy(&body)));
        }
        drop(response);
        requests += 1;
        if requests % REQUESTS_PER_YIELD == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(requests)
}
