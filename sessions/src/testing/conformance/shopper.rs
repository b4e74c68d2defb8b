//! A session with each kind of field that a login or a logout treats in its own way, and the handlers around it.

use std::time::Duration;

use super::{
    super::Client,
    environment::TestApp,
    handler::{Case, case},
};
use crate::{Handle, Session, TypedSession};

#[derive(Session)]
pub(super) struct Shopper {
    #[session(identity)]
    user: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(keep_on_logout, merge = "last")]
    cart: Vec<String>,
    #[session(drop_on_login)]
    draft: Option<String>,
    note: Option<String>,
    #[flash]
    bye: Option<String>,
}

pub(super) type Visit = TypedSession<Shopper>;

/// A part of a handler.
pub(super) type ShopperStep = fn(&mut Visit);

/// Returns user, role, cart, draft and note.
pub(super) async fn read(shopper: Visit) -> String {
    let (user, role) = (shopper.user().unwrap_or("-"), shopper.role().unwrap_or("-"));
    let (cart, draft) = (shopper.cart().join(","), shopper.draft().unwrap_or("-"));
    format!("{user} {role} {cart} {draft} {}", shopper.note().unwrap_or("-"))
}

/// Fills cart, draft and note.
pub(super) async fn browse(mut shopper: Visit) {
    shopper.cart_mut().push("pen".to_owned());
    shopper.set_draft("letter");
    shopper.set_note("hello");
}

/// Returns a handler that logs this user in.
pub(super) fn login(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| shopper.set_user(user))
}

/// Returns a handler that logs this user in as an admin with a new draft.
pub(super) fn login_with_role(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| {
        shopper.set_user(user);
        shopper.set_role("admin");
        shopper.set_draft("new");
    })
}

/// Returns a handler that logs this user in until the browser is closed.
pub(super) fn login_forgotten(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| {
        shopper.remember(false);
        shopper.set_user(user);
    })
}

/// Returns a handler that logs the user out and this one in.
pub(super) fn logout_and_login(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| {
        shopper.remove_user();
        shopper.set_user(user);
    })
}

/// Returns a handler that changes the note and then logs this user in.
pub(super) fn note_and_login(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| {
        shopper.set_note("before");
        shopper.set_user(user);
    })
}

pub(super) async fn logout(mut shopper: Visit) {
    shopper.remove_user();
}

pub(super) async fn grant(mut shopper: Visit) {
    shopper.set_role("admin");
}

pub(super) async fn revoke(mut shopper: Visit) {
    shopper.remove_role();
}

pub(super) async fn rotate(shopper: Visit) {
    shopper.rotate();
}

pub(super) async fn clear(shopper: Visit) {
    shopper.clear();
}

pub(super) async fn destroy(shopper: Visit) {
    shopper.destroy();
}

/// Puts ink into the cart, which a logout keeps.
pub(super) async fn buy(mut shopper: Visit) {
    shopper.cart_mut().push("ink".to_owned());
}

pub(super) async fn note(mut shopper: Visit) {
    shopper.set_note("x");
}

/// Limits a session to an hour and to the time until the browser is closed.
pub(super) fn stay_for_an_hour(session: &Handle) {
    let hour = Duration::from_hours(1);
    session.limit_lifetime(hour, hour);
    session.remember(false);
}

/// Fills the note, and limits the session to an hour.
pub(super) async fn browse_for_an_hour(mut shopper: Visit) {
    stay_for_an_hour(&shopper);
    shopper.set_note("hello");
}

/// Returns a browser that has come back to its session.
///
/// The calls that this took are forgotten.
pub(super) async fn visitor(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.visit(browse).await;
    assert_eq!(browser.visit(read).await, "- - pen letter hello");
    app.calls.clear();
    browser
}

/// Returns a browser in which this user is logged in as an admin.
pub(super) async fn user(app: &TestApp, name: &'static str) -> Client {
    let browser = visitor(app).await;
    assert_eq!(browser.send(login_with_role(name)).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, format!("{name} admin pen new hello"));
    app.calls.clear();
    browser
}

/// Returns true if this user is logged in, or for `-` no user.
pub(super) async fn is_user(browser: &Client, name: &str) -> bool {
    browser.visit(read).await.starts_with(name)
}
