//! The prefix of a store's keys.

use crate::{
    error::Error,
    value::{IndexKey, RecordId},
};

const LONGEST: usize = 64;

/// The prefix of a store's keys, `sess:` by default.
#[derive(Clone, Debug)]
pub(in crate::store) struct Prefix(Box<str>);

impl Prefix {
    /// Checks a prefix: it has no characters that mean something to Redis. The characters of patterns would widen an
    /// ACL, and braces would put every session on one node of a cluster.
    pub(in crate::store) fn new(text: &str) -> Result<Self, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":._-/".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(plain) {
            return Err(Error::config(format!(
                "{text:?} is no prefix for the keys of the session store; use 1 to {LONGEST} letters, digits, `:`, \
                 `.`, `_`, `-` and `/`"
            )));
        }
        Ok(Self(text.into()))
    }

    /// Returns the key of a record.
    pub(in crate::store) fn key(&self, id: RecordId) -> String {
        let mut key = String::with_capacity(self.0.len() + RecordId::TEXT_LENGTH);
        key.push_str(&self.0);
        id.push_to(&mut key);
        key
    }

    /// Returns the key of a row of the index. No record's key begins so.
    pub(in crate::store) fn index_key(&self, key: IndexKey) -> String {
        format!("{}@{key}", self.0)
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("sess:".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_means_nothing_to_redis() {
        for good in ["s", "sess:", "app.example/sid:", &"x".repeat(64)] {
            assert!(Prefix::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a*", "{tag}:", "a?", "[ab]", "a\\", "a\r\nFLUSHALL", "é", &"x".repeat(65)] {
            assert_eq!(Prefix::new(bad).unwrap_err().kind(), crate::ErrorKind::Config, "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_the_prefix_and_the_public_handle() {
        let id = RecordId::from_bytes([7; 16]);
        assert_eq!(Prefix::default().key(id), format!("sess:{id}"));
    }
}
