//! For the fuzz targets: what is sent to Webdis and read of its answers, without Webdis.

use bytes::Bytes;
use http::StatusCode;

use super::{
    items::{self, Answered},
    nonce::Nonce,
    percent,
    reply::{Verdict, judge},
};
use crate::store::hash::Item;

/// What a body is, to the call with the nonce that `write` is given: the items, `None` each for a nil, if it is
/// the answer to that call and one of ours.
pub fn items(status: u16, write: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<Vec<Option<Bytes>>> {
    match items::read(proven(status, write)?) {
        Ok(Answered::Items(items)) => Some(items.into_iter().map(bytes).collect()),
        Ok(Answered::Error(_)) | Err(_) => None,
    }
}

/// What stands between the nonces of a body, if it is the answer to that call.
pub fn proven(status: u16, write: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<Bytes> {
    let (nonce, status) = (Nonce::new().ok()?, StatusCode::from_u16(status).ok()?);
    match judge(status, &write(nonce.as_bytes()).into(), &nonce) {
        Verdict::Ours(answer) => Some(answer),
        Verdict::Error(_) | Verdict::Foreign => None,
    }
}

/// The body of a request for these words, the first of which is made of capital letters.
#[must_use]
pub fn request(words: &[&[u8]]) -> Option<Bytes> {
    percent::body(words)
}

fn bytes(item: Item) -> Option<Bytes> {
    match item {
        Item::Bytes(bytes) => Some(bytes),
        Item::None | Item::Integer(_) => None,
    }
}
