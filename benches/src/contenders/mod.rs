//! The contenders; a new one is a file here and a line in [`all`].

mod axum_session;
mod floor;
mod floor_sqlx;
#[cfg(feature = "ours")]
mod ours;
mod tower_sessions;

use crate::contender::Contender;

/// All contenders, in the order of the table.
pub fn all() -> Vec<&'static dyn Contender> {
    vec![
        &floor::Floor,
        &floor_sqlx::FloorSqlx,
        #[cfg(feature = "ours")]
        &ours::Ours,
        &tower_sessions::TowerSessions,
        &tower_sessions::TowerSessionsTuned,
        &axum_session::CACHED,
        &axum_session::UNCACHED,
    ]
}
