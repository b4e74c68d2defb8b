//! The contenders; a new one is a file here and a line in [`all`].

mod actix_session;
mod axum_session;
mod floor;
mod floor_cookie;
mod floor_hash;
mod floor_redis;
mod floor_sqlx;
mod floor_webdis;
#[cfg(feature = "ours")]
mod ours;
mod tower_sessions;

use crate::contender::Contender;

/// All contenders, in the order of the table.
pub fn all() -> Vec<&'static dyn Contender> {
    vec![
        &floor::Floor,
        &floor_sqlx::FloorSqlx,
        &floor_redis::FloorRedis,
        &floor_webdis::FloorWebdis,
        #[cfg(feature = "ours")]
        &ours::Ours,
        &tower_sessions::TowerSessions,
        &tower_sessions::TowerSessionsTuned,
        &axum_session::CACHED,
        &axum_session::UNCACHED,
        &actix_session::ActixSession,
    ]
}
