//! Code that is the same for every view.
#![deny(warnings)]

use sessions::{Handle, RecordId, Session, SessionView, TypedSession};

#[derive(Session)]
struct Cart {
    #[session(merge = "last")]
    items: Vec<u64>,
}

#[derive(Session)]
struct Login {
    user: Option<u64>,
}

fn log(session: &Handle) -> Option<RecordId> {
    session.is_new().then_some(())?;
    session.record_id()
}

fn both(cart: &TypedSession<Cart>, login: &mut TypedSession<Login>) {
    log(cart);
    log(login);
    login.set_user(cart.items().first().copied().unwrap_or_default());
}

fn any_view<V: SessionView<Handle: std::ops::Deref<Target = Handle>>>(session: &V::Handle) -> bool {
    session.is_new()
}

/// The handle by its name.
fn by_name(cart: CartHandle) -> usize {
    any_view::<Cart>(&cart);
    let _ = format!("{cart:?}");
    cart.items().len()
}

/// A life that is longer than a call's.
struct Page<'a> {
    cart: &'a TypedSession<Cart>,
}

impl<'a> Page<'a> {
    fn items(&self) -> &'a [u64] {
        self.cart.items()
    }
}

fn main() {
    let _: (fn(&_, &mut _), fn(_) -> _, fn(&Page<'static>) -> &'static [u64]) = (both, by_name, Page::items);
}
