//! Logouts that fail, come late, or overlap a change of the session; and flashes around a logout.

use std::time::Duration;

use http::StatusCode;

use super::{
    super::Gate,
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    handler::{Case, TestHandler, case, gated},
    shopper::{
        ShopperStep, Visit, buy, destroy, is_user, login, login_with_role, logout, note_and_login, read,
        revoke, rotate, user, visitor,
    },
};
use crate::{ErrorKind, error::Error, value::RecordId};

async fn logout_and_fail(mut shopper: Visit) -> StatusCode {
    shopper.remove_user();
    shopper.set_note("lost");
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn flash_old(mut shopper: Visit) {
    shopper.flash_bye("old");
}

async fn take(mut shopper: Visit) -> Option<String> {
    shopper.take_bye()
}

/// Waits until a detached task has removed the user of the record.
async fn wait_until_logged_out(app: &TestApp, id: RecordId) {
    while app.stored(id, "user").await.is_some() {
        tokio::task::yield_now().await;
    }
}

/// Waits for an event with this word, and returns all events until then.
async fn reported(app: &TestApp, word: &str) -> String {
    let mut told = String::new();
    while !told.contains(word) {
        told.push_str(&app.events().concat());
        tokio::task::yield_now().await;
    }
    told
}

/// A login of a failing request is dropped; its logout is committed, and leaves the cart.
pub async fn a_failing_login_is_none_and_a_failing_logout_is_one(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let login_and_fail = async |mut shopper: Visit| {
        shopper.set_user("ada");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let response = browser.send(login_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
    assert_eq!(browser.visit(read).await, "- - pen letter hello");
    let browser = user(&app, "ada").await;
    let response = browser.send(logout_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(browser.visit(read).await, "- - pen - -");
    let browser = user(&app, "ada").await;
    let (id, gate) = (record_of(&browser), Gate::new());
    let inside = gate.clone();
    let logout_and_wait = async move |mut shopper: Visit| {
        shopper.remove_user();
        inside.pass().await;
    };
    let request = tokio::spawn(browser.visit(logout_and_wait));
    gate.arrived().await;
    request.abort();
    assert!(request.await.is_err());
    wait_until_logged_out(&app, id).await;
    assert_eq!(app.stored(id, "note").await, None);
    assert_eq!(browser.visit(read).await, "- - pen - -", "its cookie opens what is left");
}

/// The moments of a flash around a step that ends the session or changes its user, by one of two handles.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FlashMoment {
    Before,
    BeforeByOther,
    BeforeAndDropped,
    BeforeAndSaved,
    /// Before a logout that is saved first.
    BeforeASavedLogout,
    After,
    AfterByOther,
}

fn flash_around(
    leave: ShopperStep,
    flash: FlashMoment,
) -> impl TestHandler<(Visit, Visit), Output = Result<(), Error>> {
    async move |mut shopper: Visit, mut other: Visit| {
        match flash {
            FlashMoment::Before => shopper.flash_bye("Bye"),
            FlashMoment::BeforeByOther => other.flash_bye("Bye"),
            FlashMoment::BeforeAndDropped => {
                other.flash_bye("Bye");
                drop(other);
                leave(&mut shopper);
                return Ok(());
            }
            FlashMoment::BeforeAndSaved => {
                shopper.flash_bye("Bye");
                shopper.save().await?;
            }
            FlashMoment::BeforeASavedLogout => {
                other.flash_bye("Bye");
                shopper.remove_user();
                shopper.save().await?;
            }
            FlashMoment::After | FlashMoment::AfterByOther => {}
        }
        leave(&mut shopper);
        match flash {
            FlashMoment::After => shopper.flash_bye("Bye"),
            FlashMoment::AfterByOther => other.flash_bye("Bye"),
            _ => {}
        }
        Ok(())
    }
}

/// A flash reaches the page after a logout or an end of the session, and an event reports the other changes.
///
/// Each handle of the request may set it, before or after.
pub async fn a_flash_reaches_the_page_after_a_logout(env: TestEnvironment) {
    let app = env.app().await;
    let leaves: [(&str, ShopperStep); 3] = [
        ("a logout", |shopper| shopper.remove_user()),
        ("an end", |shopper| shopper.destroy()),
        ("a clear", |shopper| shopper.clear()),
    ];
    for (what, leave) in leaves {
        for flash in [
            FlashMoment::Before,
            FlashMoment::BeforeByOther,
            FlashMoment::BeforeAndDropped,
            FlashMoment::BeforeAndSaved,
            FlashMoment::After,
            FlashMoment::AfterByOther,
        ] {
            let browser = user(&app, "ada").await;
            let id = record_of(&browser);
            browser.visit(flash_old).await;
            let response = browser.send(flash_around(leave, flash)).await;
            let cookies = response.set_cookies().len();
            assert_eq!((response.status().as_u16(), cookies), (200, 1), "{what} {flash:?}");
            assert_eq!(record_of(&browser) == id, what != "an end", "{what} {flash:?}");
            assert!(is_user(&browser, "- - ").await, "{what} {flash:?}");
            assert_eq!(browser.visit(take).await.as_deref(), Some("Bye"), "{what} {flash:?}");
            assert_eq!(browser.visit(take).await, None, "{what} {flash:?}");
        }
    }
    let flash_logout_and_fail = async |mut shopper: Visit| {
        shopper.flash_bye("Bye");
        shopper.remove_user();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let flash_end_and_fail = async |mut shopper: Visit| {
        shopper.flash_bye("Bye");
        shopper.destroy();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    for (what, handler) in [
        ("a logout", case(logout)),
        ("a logout that fails", case(flash_logout_and_fail)),
        ("an end that fails", case(flash_end_and_fail)),
    ] {
        let browser = user(&app, "ada").await;
        browser.visit(flash_old).await;
        browser.send(handler).await;
        assert_eq!(browser.visit(take).await, None, "{what}: what was not read, or failed, is gone");
    }
    for (what, leave) in &leaves[..2] {
        for is_by_other in [false, true] {
            let leave = *leave;
            let browser = user(&app, "ada").await;
            app.events();
            let note_and_leave = async move |mut shopper: Visit, mut other: Visit| {
                if is_by_other { &mut other } else { &mut shopper }.set_note("lost");
                leave(&mut shopper);
            };
            browser.visit(note_and_leave).await;
            let told = app.events().concat();
            assert!(told.contains("ChangesDropped") && told.contains("note"), "{what}: {told}");
            assert!(browser.visit(read).await.ends_with(" -"), "{what}");
        }
    }
}

/// A flash for one user does not reach the next, unless the request sets it after the change of users.
pub async fn a_flash_is_not_the_next_users(env: TestEnvironment) {
    let app = env.app().await;
    let leaves: [(&str, ShopperStep); 3] = [
        ("a login", |shopper| shopper.set_user("bob")),
        ("a logout and a login", |shopper| {
            if shopper.has_user() {
                shopper.remove_user();
            }
            shopper.set_user("bob");
        }),
        ("an end and a login", |shopper| {
            shopper.destroy();
            shopper.set_user("bob");
        }),
    ];
    for (what, leave) in leaves {
        for (flash, seen) in [
            (FlashMoment::Before, None),
            (FlashMoment::BeforeByOther, None),
            (FlashMoment::BeforeAndDropped, None),
            (FlashMoment::BeforeAndSaved, None),
            (FlashMoment::BeforeASavedLogout, None),
            (FlashMoment::After, Some("Bye")),
            (FlashMoment::AfterByOther, Some("Bye")),
        ] {
            let browser = user(&app, "ada").await;
            browser.visit(flash_old).await;
            let response = browser.send(flash_around(leave, flash)).await;
            let cookies = response.set_cookies().len();
            assert_eq!((response.status().as_u16(), cookies), (200, 1), "{what} {flash:?}");
            assert!(is_user(&browser, "bob - ").await, "{what} {flash:?}");
            assert_eq!(browser.visit(take).await.as_deref(), seen, "{what} {flash:?}");
        }
    }
    // A visitor's are the user's, as all that the visitor has.
    let browser = visitor(&app).await;
    let flash_and_login = async |mut shopper: Visit| {
        shopper.flash_bye("Bye");
        shopper.set_user("bob");
    };
    browser.visit(flash_and_login).await;
    assert_eq!(browser.visit(take).await.as_deref(), Some("Bye"));
}

/// Returns its session, which a scenario then uses after the response.
async fn keep(shopper: Visit) -> Visit {
    shopper
}

/// Logouts by a task that has the session after the response, and the text of [`read`] after each.
fn late_logouts() -> [(&'static str, Case<Visit>, &'static str); 9] {
    let save = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.save().await.expect("taken away");
        assert_eq!((shopper.user(), shopper.note(), shopper.cart().len()), (None, None, 1));
    };
    let save_and_go_on = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.save().await.expect("taken away");
        shopper.set_note("after");
        shopper.save().await.expect("it goes on");
    };
    let save_with_others = async |mut shopper: Visit| {
        shopper.set_draft("lost");
        shopper.remove_user();
        shopper.set_note("after");
        shopper.save().await.expect("both");
    };
    let drop_with_others = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.set_note("lost");
    };
    let clear_and_save = async |shopper: Visit| {
        shopper.clear();
        shopper.save().await.expect("cleared");
    };
    let switch = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.set_user("eve");
        let refused = shopper.save().await.map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::HeadSent));
    };
    [
        ("a save", case(save), "- - pen - -"),
        ("a save and another", case(save_and_go_on), "- - pen - after"),
        ("a save with other changes", case(save_with_others), "- - pen - after"),
        ("a drop", case(logout), "- - pen - -"),
        ("a drop with other changes", case(drop_with_others), "- - pen - -"),
        ("a panic", case(logout_and_panic), "- - pen - -"),
        ("a clear and a save", case(clear_and_save), "- -  - -"),
        ("a clear and a drop", case(async |shopper: Visit| shopper.clear()), "- - pen - -"),
        ("a change of users", case(switch), "- - pen - -"),
    ]
}

async fn logout_and_panic(mut shopper: Visit) {
    shopper.remove_user();
    panic!("as the scenario wants it");
}

/// A logout after the response ends the login at once, and the browser's cookie opens what a logout leaves.
///
/// The next login replaces that cookie.
pub async fn a_late_logout_is_one(env: TestEnvironment) {
    for (how, late_logout, seen) in late_logouts() {
        let (app, elsewhere) = (env.app().await, env.app().await);
        let browser = user(&app, "ada").await;
        let (id, tab) = (record_of(&browser), browser.clone_jar());
        let shopper = browser.visit(keep).await;
        let before = browser.cookie(COOKIE);
        let at = Gate::new();
        let slow = tokio::spawn(tab.at(&elsewhere.browser()).send(gated(&at, buy)));
        at.arrived().await;
        app.events();
        let task = tokio::spawn(late_logout(shopper));
        wait_until_logged_out(&app, id).await;
        assert_eq!(task.await.is_err(), how == "a panic", "{how}");
        let told = reported(&app, "RightsRemoved").await;
        assert!(told.contains("user"), "{how}: {told}");
        assert!(!app.load(id, &[]).await.expect("the record").credentials.holds_rights(), "{how}");
        let response = tab.send(read).await;
        assert_eq!((response.text(), response.set_cookies().len()), (seen, 0), "{how}");
        assert_eq!(browser.cookie(COOKIE), before, "{how}");
        // What belongs to the browser crosses it.
        at.release();
        assert_eq!(slow.await.expect("an answer").status(), 200, "{how}");
        assert!(tab.visit(read).await.contains("ink"), "{how}");
        assert_eq!(browser.send(login("bob")).await.set_cookies().len(), 1, "{how}");
        assert!(is_user(&browser, "bob - ").await, "{how}");
        assert!(is_user(&tab, "- - ").await, "{how}");
    }
}

/// A late logout ends the login that its request saw, and no later one.
pub async fn a_later_login_stays(env: TestEnvironment) {
    /// Logs out after the response, or before it.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum LogoutMoment {
        SavedLate,
        DroppedLate,
        Slow,
    }
    let save = async |mut shopper: Visit| {
        shopper.remove_user();
        let refused = shopper.save().await.map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::Conflict));
    };
    for (how, next) in [
        (LogoutMoment::SavedLate, "ada"),
        (LogoutMoment::SavedLate, "bob"),
        (LogoutMoment::DroppedLate, "bob"),
        (LogoutMoment::Slow, "ada"),
        (LogoutMoment::Slow, "bob"),
    ] {
        let app = env.app().await;
        let browser = user(&app, "ada").await;
        let (id, tab) = (record_of(&browser), browser.clone_jar());
        let gate = Gate::new();
        let (kept, slow) = if how == LogoutMoment::Slow {
            let slow = tokio::spawn(tab.send(gated(&gate, logout)));
            gate.arrived().await;
            (None, Some(slow))
        } else {
            let cookie = tab.cookie(COOKIE);
            let kept = tab.visit(keep).await;
            assert_eq!(tab.cookie(COOKIE), cookie, "{how:?} {next}");
            (Some(kept), None)
        };
        let created = app.load(id, &[]).await.expect("the record").created;
        // Two incarnations of one record do not begin in the same millisecond.
        env.clock.advance(Duration::from_secs(1));
        loop {
            browser.visit(logout).await;
            browser.send(login_with_role(next)).await;
            if app.load(id, &[]).await.expect("the record").created != created {
                break;
            }
        }
        app.events();
        gate.release();
        if let Some(kept) = kept {
            if how == LogoutMoment::SavedLate { save(kept).await } else { logout(kept).await }
        }
        if let Some(slow) = slow {
            let response = slow.await.expect("an answer");
            assert_eq!(
                (response.status().as_u16(), response.set_cookies().len()),
                (409, 0),
                "{how:?} {next}"
            );
        }
        let told = reported(&app, "Conflict").await;
        assert!(told.contains("logged in since"), "{told}");
        assert_eq!(browser.visit(read).await, format!("{next} admin pen new -"), "{how:?} {next}");
    }
    // Nor does the same user's, who has proved it again meanwhile.
    let app = env.app().await;
    let (browser, gate) = (user(&app, "ada").await, Gate::new());
    let slow = tokio::spawn(browser.clone_jar().send(gated(&gate, logout)));
    gate.arrived().await;
    browser.send(login("ada")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    assert!(is_user(&browser, "ada admin").await);
}

/// A logout or the removal of a right beside another tab's rotation is one, and the new cookie opens what is left.
pub async fn a_logout_beside_a_rotation_is_one(env: TestEnvironment) {
    let app = env.app().await;
    let logout_and_note = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.set_note("lost");
    };
    for (what, handler, change, status, seen) in [
        ("a logout", case(logout), ("a rotation", case(rotate)), 200, "- - pen - -"),
        ("a logout and a note", case(logout_and_note), ("a rotation", case(rotate)), 409, "- - pen - -"),
        ("a logout that fails", case(logout_and_fail), ("a rotation", case(rotate)), 500, "- - pen - -"),
        ("a logout", case(logout), ("a removed right", case(revoke)), 200, "- - pen - -"),
        ("a removed right", case(revoke), ("a rotation", case(rotate)), 200, "ada - pen new hello"),
        ("a logout", case(logout), ("a logout", case(logout)), 200, "- - pen - -"),
        ("a logout", case(logout), ("an end", case(destroy)), 200, "- -  - -"),
        ("a login", note_and_login("bob"), ("a rotation", case(rotate)), 409, "ada admin pen new hello"),
    ] {
        let (meanwhile, change) = change;
        let what = format!("{what} beside {meanwhile}");
        let (browser, gate) = (user(&app, "ada").await, Gate::new());
        let tab = browser.clone_jar();
        let slow = tokio::spawn(tab.send(gated(&gate, handler)));
        gate.arrived().await;
        assert_eq!(browser.send(change).await.status(), 200, "{what}");
        let cookie = browser.cookie(COOKIE);
        app.events();
        gate.release();
        let response = slow.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{what}");
        let told = app.events().concat();
        let is_removal = !what.starts_with("a login");
        let was_there = !matches!(meanwhile, "a logout" | "an end");
        assert_eq!(told.contains("RightsRemoved"), is_removal && was_there, "{what}: {told}");
        assert_eq!(browser.visit(read).await, seen, "{what}");
        assert_eq!(browser.cookie(COOKIE), cookie, "{what}");
        assert_eq!(tab.visit(read).await, "- -  - -", "{what}: the old secret opens nothing");
    }
}
