//! A handle, and references to it, across `.await` in handlers, tasks, streams and middleware.
#![deny(warnings)]

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use futures_util::stream;
use sessions::{Error, Handle, Session, TypedSession};

#[derive(Session)]
struct Visit {
    #[session(merge = "add")]
    n: u32,
    name: Option<String>,
    #[flash]
    message: Option<String>,
}

async fn wait() {
    tokio::task::yield_now().await;
}

async fn shared(session: TypedSession<Visit>) -> String {
    let (session, name) = (&session, session.name());
    wait().await;
    format!("{name:?} {}", session.n())
}

async fn exclusive(mut session: TypedSession<Visit>) -> Result<String, String> {
    let n = session.fetch_add_n(1).await.map_err(|error| error.to_string())?;
    helper(&mut session).await.map_err(|error| error.to_string())?;
    session.reload().await.map_err(|error| error.to_string())?;
    Ok(n.to_string())
}

async fn helper(session: &mut TypedSession<Visit>) -> Result<(), Error> {
    let name = session.name_mut();
    wait().await;
    if let Some(name) = name {
        name.push('!');
    }
    common(session).await
}

async fn common(session: &Handle) -> Result<(), Error> {
    wait().await;
    session.save().await
}

async fn task(mut session: TypedSession<Visit>) {
    tokio::spawn(async move {
        wait().await;
        session.set_name("later");
        session.save().await
    });
}

async fn streamed(session: TypedSession<Visit>) -> Body {
    Body::from_stream(stream::unfold(session, |mut session| async move {
        session.add_n(1);
        session.save().await.ok()?;
        Some((Ok::<_, Error>(Bytes::from(session.n().to_string())), session))
    }))
}

async fn middleware(mut session: TypedSession<Visit>, request: Request, next: Next) -> Response {
    session.add_n(1);
    drop(session);
    next.run(request).await
}

async fn optional(session: Option<TypedSession<Visit>>) -> String {
    session.map_or_else(String::new, |session| session.n().to_string())
}

fn send_sync_static<T: Send + Sync + 'static>() {}

fn main() {
    send_sync_static::<TypedSession<Visit>>();
    let _: Router = Router::new()
        .route("/", get(shared).post(exclusive))
        .route("/task", get(task).post(streamed))
        .route("/optional", get(optional))
        .layer(from_fn(middleware));
}
