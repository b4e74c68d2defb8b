//! The derive, with an example of what it is for, and the trait behind it.

/// Makes a struct a typed view of the session: each field becomes methods of the handle that a handler takes.
///
/// A struct with the attributes that most programs need, and handlers that use it:
///
/// ```
/// # #[cfg(feature = "keys")] {
/// use std::collections::BTreeMap;
///
/// use serde::{Deserialize, Serialize};
/// use sessions::{Error, Session, TypedSession};
///
/// #[derive(Clone, Copy, Default, Serialize, Deserialize)]
/// enum Theme {
///     #[default]
///     Light,
///     Dark,
/// }
///
/// /// The session of a shop.
/// #[derive(Session)]
/// #[session(namespace = "shop")] // stored as `shop.user_id` and so on
/// struct Shop {
///     /// The logged-in user. Setting it logs in, removing it logs out.
///     #[session(identity)]
///     user_id: Option<u64>,
///     /// A right of the user. The default, `false`, is the state of least power.
///     #[session(privilege)]
///     is_admin: bool,
///     /// A token of another service, which the store cannot read.
///     #[session(secret)]
///     access_token: Option<String>,
///     /// Articles in the cart, which outlive a logout. An earlier release stored them as `basket`.
///     /// Two tabs at once both keep what they put there.
///     #[session(merge = "entries", keep_on_logout, alias = "basket")]
///     cart: BTreeMap<u64, u32>,
///     #[session(keep_on_logout, default = "en".to_owned())]
///     language: String,
///     #[session(keep_on_logout, copy)]
///     theme: Theme,
///     /// The page that asked for a login. A login drops it.
///     #[session(drop_on_login)]
///     return_to: Option<String>,
///     /// Pages shown. Overlapping requests all count.
///     #[session(merge = "add")]
///     page_count: u32,
///     /// The newest message that was read, even if an older page reports later.
///     #[session(merge = "max", rename = "seen")]
///     last_seen_message: Option<i64>,
///     /// The page that led here. The first one stays.
///     #[session(merge = "first")]
///     referrer: Option<String>,
///     /// Shown on the next page, once.
///     #[flash]
///     notice: Option<String>,
///     /// Never stored.
///     #[session(skip)]
///     started: Option<std::time::Instant>,
/// }
///
/// async fn show(mut session: TypedSession<Shop>) -> String {
///     session.add_page_count(1);
///     let notice = session.take_notice().unwrap_or_default();
///     format!("{notice} {} articles, language {}", session.cart().len(), session.language())
/// }
///
/// async fn put_into_cart(mut session: TypedSession<Shop>) {
///     *session.cart_mut().entry(42).or_default() += 1;
///     session.flash_notice("It is in the cart.");
/// }
///
/// async fn log_in(mut session: TypedSession<Shop>) -> Result<String, Error> {
///     let page = session.take_return_to().unwrap_or_else(|| "/".to_owned());
///     session.set_user_id(7); // after the password was checked
///     session.set_is_admin(true);
///     session.set_access_token("…");
///     session.save().await?; // the login is stored, whatever comes after it
///     Ok(page)
/// }
///
/// async fn log_out(mut session: TypedSession<Shop>) {
///     session.remove_user_id(); // and all that is not `keep_on_logout`
/// }
/// # let _ = (show, put_into_cart, log_in, log_out, Theme::Dark);
/// # }
/// ```
pub use sessions_macros::Session;

/// A struct that is a typed view of the session.
///
/// [`derive(Session)`](macro@crate::Session) implements it; no program does so by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session",
    label = "not a session",
    note = "derive it: `#[derive(sessions::Session)] struct {Self} {{ … }}`"
)]
pub trait SessionView: Sized + 'static {
    /// The generated handle: the fields' accessors, and by dereference [`Handle`](crate::Handle).
    type Handle;

    /// The description of the fields.
    #[doc(hidden)]
    const __FIELDS: &'static [crate::__private::Field];

    /// Returns the fields with what is known of them at run time.
    #[doc(hidden)]
    fn __table() -> &'static crate::__private::Table;
}

/// The handle of a view, which a handler takes as an argument.
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
/// As `Option<TypedSession<Visit>>` it is `None` if the request has no live session. If the store fails, both forms are
/// an error response, and never an anonymous session.
pub type TypedSession<V> = <V as SessionView>::Handle;
