//! The trait behind the derive.

/// A struct that is a typed view of the session: derived with [`Session`](macro@crate::Session),
/// never written by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session",
    label = "not a session",
    note = "derive it: `#[derive(sessions::Session)] struct {Self} {{ … }}`"
)]
pub trait SessionView: Sized + 'static {
    /// The generated handle: the fields' accessors, and by dereference [`Handle`](crate::Handle).
    type Handle;

    /// What the view knows of its fields.
    #[doc(hidden)]
    fn __table() -> &'static crate::__private::Table;
}

/// The handle of a view: what a handler takes.
///
/// ```
/// use sessions::{Session, TypedSession};
///
/// #[derive(Session)]
/// struct Visit {
///     count: u32,
/// }
///
/// async fn handler(mut session: TypedSession<Visit>) -> String {
///     session.set_count(session.count() + 1);
///     format!("visit {}", session.count())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
///
/// As `Option<TypedSession<Visit>>` it is `None` where the request carries no live session; a store
/// that fails is an error response in both forms, never an anonymous session.
pub type TypedSession<V> = <V as SessionView>::Handle;
