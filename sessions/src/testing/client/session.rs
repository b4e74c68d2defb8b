//! The session of a client, without the application's routes.

use http::{Request, StatusCode};

use super::{
    super::open_request::{OpenRequest, TestedView},
    Client,
};
use crate::{SessionLayer, TypedSession};

impl Client {
    /// Fills fields of this browser's session, without a route of the application: logs a user in, for example.
    ///
    /// It is a request of its own through `layer`, a clone of the application's, with all that a request of the
    /// application does: a right changes the secret, and a cookie comes. So it begins a session where there is none.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use sessions::{Session, SessionLayer, TypedSession, store::MemoryStore, testing::Client};
    ///
    /// #[derive(Session)]
    /// struct Account {
    ///     #[session(identity)]
    ///     user_id: Option<u64>,
    /// }
    ///
    /// async fn whoami(account: TypedSession<Account>) -> String {
    ///     format!("{:?}", account.user_id())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::new(MemoryStore::new());
    /// let browser = Client::new(Router::new().route("/", get(whoami)).layer(layer.clone()));
    /// browser.log_in::<Account>(&layer, |account| account.set_user_id(7)).await;
    /// assert_eq!(browser.get("/").await.text(), "Some(7)");
    /// assert_eq!(browser.session::<Account>(&layer).await.user_id(), Some(7));
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the layer refuses the change.
    pub async fn log_in<V: TestedView>(&self, layer: &SessionLayer, fill: impl FnOnce(&mut TypedSession<V>)) {
        let mut request = OpenRequest::begin(layer, &self.browser, head(Request::post("/")));
        let mut session = request.session::<V>().await;
        fill(&mut session);
        drop(session);
        let response = request.finish(&self.browser, ()).await;
        let status = response.status();
        assert_eq!(status, StatusCode::OK, "the layer refuses the change: {}", response.text());
    }

    /// Returns the fields of this browser's session as its next request would see them. `layer` is a clone of the
    /// application's.
    ///
    /// It only reads: what is changed in it is dropped. It is no use of the session, either.
    ///
    /// # Panics
    ///
    /// If the session does not open: the store fails, for example.
    pub async fn session<V: TestedView>(&self, layer: &SessionLayer) -> TypedSession<V> {
        OpenRequest::begin(layer, &self.browser, head(Request::get("/"))).session::<V>().await
    }
}

fn head(request: http::request::Builder) -> Request<()> {
    request.body(()).expect("a path")
}
