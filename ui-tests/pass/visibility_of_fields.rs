//! The accessors have the view's visibility, so that another module may use the handle of a view whose fields are
//! its own.
#![deny(warnings)]

mod auth {
    use sessions::Session;

    #[derive(Session)]
    pub struct Login {
        user: Option<u64>,
    }

    pub fn user(login: &Login) -> Option<u64> {
        login.user
    }
}

use sessions::TypedSession;

fn handler(mut session: TypedSession<auth::Login>) -> Option<u64> {
    session.set_user(1);
    auth::user(&session.snapshot())
}

fn main() {
    let _: fn(_) -> _ = handler;
}
