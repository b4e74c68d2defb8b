//! What a layer does with keys.

use std::sync::Arc;

use super::{HttpOptions, SessionLayer, cookie::LONGEST_TOKEN};
use crate::{keys::KeyRing, value::SignedToken};

const _: () = assert!(SignedToken::TEXT_LENGTH == LONGEST_TOKEN);

impl SessionLayer {
    /// Seals the values of fields marked `#[session(secret)]` with these keys before they reach the store, and
    /// opens them when they are loaded: who reads the store does not read them.
    ///
    /// A value belongs to the cookie's name, its record and its field. Put anywhere else, changed, of an unknown or
    /// revoked key, or not sealed at all, it is a stored value that does not decode: the request is refused, and
    /// nothing is lost, unless the field says `on_invalid = "reset"`. So a field that becomes `secret` while
    /// sessions are alive gets a new name, or `on_invalid = "reset"`. A value stays as its key sealed it until
    /// it changes; see [`KeyRing`] for how to change the key.
    ///
    /// Without this, a view with a secret field is refused with an error of kind
    /// [`Config`](crate::ErrorKind::Config), and an event says so.
    ///
    /// The store sees that there is a value, how long it is, and when it changes. What it keeps is a third longer than
    /// the JSON text, and 64 bytes (key id, nonce, tag, base64url): 3,000 bytes become some 4,060. Limits of size count
    /// the JSON text. Who can write to the store can put back an older value of the same field of the same record.
    ///
    /// ```
    /// use sessions::{Key, KeyRing, Session, SessionLayer, store::MemoryStore};
    ///
    /// #[derive(Session)]
    /// struct Account {
    ///     #[session(secret)]
    ///     access_token: Option<String>,
    /// }
    ///
    /// # fn layer() -> Result<(), sessions::Error> {
    /// let ring = KeyRing::new(Key::generate()?);
    /// let layer = SessionLayer::new(MemoryStore::new()).with_keys(ring);
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// # layer().unwrap();
    /// ```
    #[must_use]
    pub fn with_keys(mut self, keys: KeyRing) -> Self {
        self.context_mut().keys = Some(Arc::new(keys));
        self
    }

    /// Signs the tokens in cookies, so that one that was made up costs no question to the store.
    ///
    /// What no living key of the ring signed for this cookie's name is no token: a forged or changed one, one of
    /// another environment, of a revoked key, and one that is not signed. It reaches no store, and it takes no
    /// place among the two tokens that are looked at, so cookies that somebody makes up cannot crowd out the
    /// user's (those of sessions of his own can: keep `__Host-`); an event says so, once a second. The newest active key signs: HMAC-SHA256, cut to 128 bits (RFC 2104 section 5; OWASP ASVS 5.0,
    /// 11.2.3). The cookie's value has 92 characters in place of 66. A signature does not say that the
    /// session lives: that is still the store's to say.
    ///
    /// There is no other way in: when signing is switched on or off, or the cookie gets another name, all users
    /// begin anew, and their old records end by their timeouts. A cookie stays as its key signed it until its
    /// session is rotated or ends, so a key that is no longer the newest stays in the ring for as long as the
    /// absolute timeout. See [`KeyRing`] for how to change it.
    ///
    /// ```
    /// use sessions::{Key, KeyRing, SessionLayer, store::MemoryStore};
    ///
    /// # fn layer() -> Result<(), sessions::Error> {
    /// # let configured = format!("active:{}", Key::generate()?.expose_base64());
    /// let ring = KeyRing::parse(&configured)?;
    /// let layer = SessionLayer::new(MemoryStore::new()).with_signed_tokens(ring);
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// # layer().unwrap();
    /// ```
    #[must_use]
    pub fn with_signed_tokens(mut self, keys: KeyRing) -> Self {
        let http = HttpOptions { signing: Some(Arc::new(keys)), ..HttpOptions::of(&self.context).clone() };
        self.context_mut().http = Arc::new(http);
        self
    }
}
