//! Extraction in axum handlers: all that knows axum.

use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::{
    handle::{Handle, table::Table},
    layer::RequestSession,
    rejection::SessionRejection,
};

#[doc(hidden)]
pub use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
#[doc(hidden)]
pub use http::request::Parts as RequestParts;

/// The session of a request, for a view with this table; `None` in the second place means that the
/// request carries no live token.
#[doc(hidden)]
pub async fn extract(parts: &mut Parts, table: &'static Table) -> Result<(Handle, bool), SessionRejection> {
    let session = parts.extensions.get::<RequestSession>().ok_or(SessionRejection::missing_layer())?;
    let (slot, headers) = (session.slot.clone(), &parts.headers);
    Handle::open(slot, table, || session.presented(headers)).await.map_err(SessionRejection::failed)
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        (self.status(), self.body_text()).into_response()
    }
}
