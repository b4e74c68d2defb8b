//! Calls applications of actix-web, which stay in the thread that made them.
//!
//! As actix's own server does, each of as many threads as the other contenders
//! have workers has a runtime and an instance of the application. The requesters are
//! dealt out to the threads; otherwise this does what the driver for axum does.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_http::Request;
use actix_http::header::{COOKIE, HeaderValue as ActixValue, SET_COOKIE};
use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, StatusCode, Uri};
use anyhow::{Context, Result, anyhow, ensure};
use axum::http::HeaderValue;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::{mpsc, oneshot};

use crate::client::{Answer, cookie_header};
use crate::drive::{Load, REQUESTS_PER_YIELD};
use crate::run::WORKERS;

/// The threads; they end with this value.
pub struct Threads(Vec<mpsc::UnboundedSender<Job>>);

enum Job {
    Get { path: &'static str, cookie: Option<HeaderValue>, answer: oneshot::Sender<Result<Answer>> },
    Run { requester: ActixRequester, answer: oneshot::Sender<Result<u64>> },
}

/// A client that sends one request after the other.
struct ActixRequester {
    load: Load,
    first: usize,
    stop: Arc<AtomicBool>,
}

impl Threads {
    /// Starts the threads, each with an application of its own.
    pub fn start<F, S, B>(make: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = S>,
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
        B: MessageBody + 'static,
    {
        let threads = (0..WORKERS).map(|_| {
            let (sender, jobs) = mpsc::unbounded_channel();
            let make = make.clone();
            std::thread::spawn(move || {
                actix_web::rt::System::new().block_on(async { serve(Rc::new(make().await), jobs).await });
            });
            sender
        });
        Threads(threads.collect())
    }

    pub async fn get(&self, path: &'static str, cookie: Option<HeaderValue>) -> Result<Answer> {
        let (answer, answered) = oneshot::channel();
        self.send(0, Job::Get { path, cookie, answer });
        answered.await?
    }

    /// Starts the requesters of a load. Each returns the number of requests that it has sent.
    pub fn drive(&self, load: &Load, stop: &Arc<AtomicBool>) -> Vec<BoxFuture<'static, Result<u64>>> {
        let start = |first| {
            let (answer, answered) = oneshot::channel();
            let requester = ActixRequester { load: load.clone(), first, stop: stop.clone() };
            self.send(first % self.0.len(), Job::Run { requester, answer });
            async { answered.await? }.boxed()
        };
        (0..load.in_flight).map(start).collect()
    }

    /// Sends a job to a thread. A thread that has panicked drops the job, which ends the wait for its answer.
    fn send(&self, thread: usize, job: Job) {
        let _ = self.0[thread].send(job);
    }
}

async fn serve<S, B>(service: Rc<S>, mut jobs: mpsc::UnboundedReceiver<Job>)
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    while let Some(job) = jobs.recv().await {
        let service = service.clone();
        actix_web::rt::spawn(async move {
            // The answer is not awaited any more if another requester has failed.
            match job {
                Job::Get { path, cookie, answer } => drop(answer.send(get(&*service, path, cookie).await)),
                Job::Run { requester, answer } => drop(answer.send(run(&*service, requester).await)),
            }
        });
    }
}

async fn get<S, B>(service: &S, path: &'static str, cookie: Option<HeaderValue>) -> Result<Answer>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let cookie = cookie.map(|cookie| ActixValue::from_bytes(cookie.as_bytes())).transpose()?;
    let response = call(service, &Uri::from_static(path), cookie).await?;
    let status = response.status();
    let set_cookies: Vec<_> = response.headers().get_all(SET_COOKIE).cloned().collect();
    let body = to_bytes(response.into_body()).await.map_err(|_| anyhow!("a body ends early"))?;
    let body = String::from_utf8(body.into())?;
    ensure!(status == StatusCode::OK, "{path} answered {status}: {body}");
    Ok(Answer { body, cookie: cookie_header(set_cookies.iter().map(ActixValue::as_bytes))? })
}

async fn run<S, B>(service: &S, ActixRequester { load, first, stop }: ActixRequester) -> Result<u64>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let uri = Uri::from_static(load.workload.path());
    let cookies: Vec<_> = match load.workload.sends_cookie() {
        true => load.cookies.iter().skip(first).step_by(load.in_flight).collect(),
        false => Vec::new(),
    };
    // The two frameworks' header types differ, but not in what a clone costs.
    let cookies: Result<Vec<_>, _> = cookies.iter().map(|c| ActixValue::from_bytes(c.as_bytes())).collect();
    let cookies = cookies.context("a cookie is no header value")?;
    let mut next = cookies.iter().cycle();
    let mut requests = 0;
    while !stop.load(Ordering::Relaxed) {
        let response = call(service, &uri, next.next().cloned()).await?;
        if response.status() != StatusCode::OK {
            stop.store(true, Ordering::Relaxed);
            return Err(anyhow!("a request was answered with an error: {}", response.status()));
        }
        drop(response);
        requests += 1;
        if requests % REQUESTS_PER_YIELD == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(requests)
}

async fn call<S, B>(service: &S, uri: &Uri, cookie: Option<ActixValue>) -> Result<ServiceResponse<B>>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
{
    let mut request = Request::new();
    let head = request.head_mut();
    head.method = Method::GET;
    head.uri = uri.clone();
    if let Some(cookie) = cookie {
        head.headers.insert(COOKIE, cookie);
    }
    service.call(request).await.map_err(|error| anyhow!("{error}"))
}
