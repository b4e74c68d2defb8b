//! The options of a layer that take keys.

use std::sync::Arc;

use super::{HttpOptions, SessionLayer, cookie::LONGEST_TOKEN};
use crate::{keys::KeyRing, value::SignedToken};

const _: () = assert!(SignedToken::TEXT_LENGTH == LONGEST_TOKEN);

impl SessionLayer {
    /// Seals the values of fields marked `#[session(secret)]` with these keys before they reach the store, and opens
    /// them when they are loaded.
    ///
    /// A sealed value is bound to the cookie's name, its record and its field. It does not open if it was moved or
    /// changed, if its key is not in the ring or revoked, or if it was never sealed. Such a value counts as a stored
    /// value that does not decode: the request is refused and nothing is lost, unless the field says
    /// `on_invalid = "reset"`. So a field that becomes `secret` while sessions are alive needs a new stored name, or
    /// `on_invalid = "reset"`. A value stays sealed by its key until it changes; [`KeyRing`] says how to change keys.
    ///
    /// Without this option, a view with a secret field is refused with an error of kind
    /// [`Config`](crate::ErrorKind::Config), and an event says so.
    ///
    /// The store sees that there is a value, its length, and when it changes. The stored form is a third longer than
    /// the JSON text, plus 64 bytes (key id, nonce, tag, base64url): 3,000 bytes become about 4,060. Limits of size
    /// count the JSON text. An attacker who can write to the store can put back an older value of the same field of
    /// the same record.
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

    /// Signs the tokens in cookies, so that a forged one costs no call to the store.
    ///
    /// A token counts only if a living key of the ring signed it for this cookie's name. Others reach no store: forged
    /// or changed ones, those of another environment or of a revoked key, and unsigned ones. They take no place among
    /// the two tokens of a request that are looked at, so a planted forgery cannot displace the user's token. An
    /// attacker can still plant tokens of their own sessions: keep `__Host-`. An event reports refused tokens, once a
    /// second.
    ///
    /// The newest active key signs: HMAC-SHA256, cut to 128 bits (RFC 2104 section 5; OWASP ASVS 5.0, 11.2.3). The
    /// cookie's value has 92 characters in place of 66. A signature does not say that the session is alive: the store
    /// does.
    ///
    /// Switching signing on or off, or another cookie name, ends all sessions for their users. The old records end by
    /// their timeouts. A cookie stays signed by its key until its session is rotated or ends. So a key that is no
    /// longer the newest stays in the ring for as long as the absolute timeout. [`KeyRing`] says how to change keys.
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
