//! Fills the sessions and checks that a contender keeps what it is given.

use anyhow::{Context, Result, ensure};
use axum::http::HeaderValue;

use crate::app::App;
use crate::data;

/// Creates `count` full sessions and returns their cookies.
pub async fn fill(app: &App, count: usize, keeps_sessions: bool) -> Result<Vec<HeaderValue>> {
    let mut cookies = Vec::with_capacity(count);
    for n in 0..count {
        let filled = app.get("/fill", None).await?;
        if !keeps_sessions {
            // As long as a session's cookie, so that the client does the same work.
            cookies.push(HeaderValue::from_str(&format!("id={n:032}"))?);
            continue;
        }
        cookies.push(filled.cookie.context("/fill sets no cookie")?);
        if n == 0 {
            let found = app.get("/check", cookies.last()).await?;
            ensure!(
                found.body == filled.body,
                "a filled session holds {:?} instead of {:?}",
                found.body,
                filled.body
            );
        }
    }
    Ok(cookies)
}

/// Checks that what is written is read, on a few sessions of that many fields and on a new one.
pub async fn write_and_read(
    app: &App,
    cookies: &[HeaderValue],
    fields: usize,
    has_views: bool,
) -> Result<()> {
    for cookie in cookies.iter().step_by(cookies.len().div_ceil(10)) {
        let before = app.get("/check", Some(cookie)).await?.body;
        let written = app.get("/write", Some(cookie)).await?.body;
        let read = app.get("/read", Some(cookie)).await?.body;
        ensure!(read == written, "wrote {written:?} but read {read:?}");
        let after = app.get("/check", Some(cookie)).await?.body;
        let mut expected: Vec<_> = before.lines().collect();
        ensure!(expected.len() == fields + 1, "fields are missing: {before:?}");
        expected[data::HOT] = &written;
        ensure!(after == expected.join("\n"), "another field changed: {before:?} became {after:?}");
        if has_views && fields > data::FEW {
            let few = app.get("/read-4", Some(cookie)).await?.body;
            ensure!(few == expected[..data::FEW].join("\n"), "a view of {after:?} has {few:?}");
        }
    }
    let new = app.get("/write", None).await?;
    let cookie = new.cookie.context("a new session sets no cookie")?;
    let read = app.get("/read", Some(&cookie)).await?.body;
    ensure!(read == new.body, "wrote {:?} to a new session but read {read:?}", new.body);
    Ok(())
}
