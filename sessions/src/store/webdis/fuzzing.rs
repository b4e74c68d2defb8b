//! Entry points for the fuzz targets: the requests that go to Webdis and its replies, without Webdis.

use bytes::Bytes;
use http::StatusCode;

use super::{
    items::{self, ScriptReply},
    nonce::Nonce,
    percent,
    reply::{ReplyOwner, identify},
};
use crate::store::hash::ReplyItem;

/// Returns the items of a body, `None` for each nil, if it is a reply of the script to the call with the nonce that
/// `write` gets.
pub fn items(status: u16, write: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<Vec<Option<Bytes>>> {
    match items::read(verified(status, write)?) {
        Ok(ScriptReply::Items(items)) => Some(items.into_iter().map(bytes).collect()),
        Ok(ScriptReply::Error(_)) | Err(_) => None,
    }
}

/// Returns the text between the nonces of a body, if it is the reply to that call.
pub fn verified(status: u16, write: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<Bytes> {
    let (nonce, status) = (Nonce::new().ok()?, StatusCode::from_u16(status).ok()?);
    match identify(status, &write(nonce.as_bytes()).into(), &nonce) {
        ReplyOwner::ThisCall(answer) => Some(answer),
        ReplyOwner::Unknown(_) | ReplyOwner::OtherCall => None,
    }
}

/// Returns the body of a request for these words. The first of them consists of capital letters.
#[must_use]
pub fn request(words: &[&[u8]]) -> Option<Bytes> {
    percent::body(words)
}

fn bytes(item: ReplyItem) -> Option<Bytes> {
    match item {
        ReplyItem::Bytes(bytes) => Some(bytes),
        ReplyItem::None | ReplyItem::Integer(_) => None,
    }
}
