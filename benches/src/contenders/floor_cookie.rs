//! A session's id in a cookie, for the floors that keep sessions.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use crate::data;

pub type SetCookie = AppendHeaders<Option<(header::HeaderName, String)>>;

pub fn set_cookie(id: &str) -> SetCookie {
    let cookie = format!("id={id}; HttpOnly; SameSite=Lax; Secure; Path=/");
    AppendHeaders(Some((header::SET_COOKIE, cookie)))
}

pub fn id(headers: &HeaderMap) -> Result<&str, FloorFailure> {
    headers
        .get(header::COOKIE)
        .and_then(|cookie| cookie.to_str().ok())
        .and_then(|cookie| cookie.strip_prefix("id="))
        .ok_or(FloorFailure("no cookie".into()))
}

pub fn new_id() -> String {
    // Multiplying by odd constants scatters the keys as random ones would be.
    let serial: u128 = data::next_value().parse().expect("values are decimal");
    format!("{:032x}", serial.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// Answered with 500, which stops the run.
pub struct FloorFailure(pub String);

impl<E: std::error::Error> From<E> for FloorFailure {
    fn from(error: E) -> Self {
        FloorFailure(error.to_string())
    }
}

impl IntoResponse for FloorFailure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}
