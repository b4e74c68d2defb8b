//! axum's own derives and `#[debug_handler]`.
#![deny(warnings)]

use axum::{
    Router, debug_handler,
    extract::{FromRef, FromRequestParts, State},
    routing::get,
};
use sessions::{Session, TypedSession};

#[derive(Session)]
struct Visit {
    n: u32,
    user: Option<u64>,
}

#[derive(Clone, FromRef)]
struct App {
    greeting: &'static str,
}

#[derive(FromRequestParts)]
struct Context {
    session: TypedSession<Visit>,
    optional: Option<TypedSession<Visit>>,
}

#[derive(FromRequestParts)]
#[from_request(state(App))]
struct WithState {
    session: TypedSession<Visit>,
    #[from_request(via(State))]
    greeting: &'static str,
}

struct LoggedIn(TypedSession<Visit>, u64);

impl<S: Send + Sync> FromRequestParts<S> for LoggedIn {
    type Rejection = axum::response::Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse;

        let session = TypedSession::<Visit>::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        match session.user() {
            Some(user) => Ok(Self(session, user)),
            None => Err("who is there?".into_response()),
        }
    }
}

#[debug_handler]
async fn direct(mut session: TypedSession<Visit>) -> String {
    session.set_n(session.n() + 1);
    session.n().to_string()
}

#[debug_handler(state = App)]
async fn derived(context: Context, with_state: WithState) -> String {
    let optional = context.optional.map(|session| session.n());
    format!("{} {optional:?} {} {}", context.session.n(), with_state.session.n(), with_state.greeting)
}

#[debug_handler]
async fn logged_in(LoggedIn(session, user): LoggedIn, Context { session: other, .. }: Context) -> String {
    format!("{user} {} {}", session.n(), other.n())
}

fn main() {
    let _: Router = Router::new()
        .route("/", get(direct))
        .route("/in", get(logged_in))
        .merge(Router::new().route("/derived", get(derived)).with_state(App { greeting: "hello" }));
}
