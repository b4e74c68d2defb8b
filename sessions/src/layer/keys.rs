//! What a layer does with keys.

use std::sync::Arc;

use super::{Frame, SessionLayer, cookie::LONGEST_TOKEN};
use crate::{keys::KeyRing, value::SignedToken};

const _: () = assert!(SignedToken::TEXT_LENGTH == LONGEST_TOKEN);

impl SessionLayer {
    /// Signs the tokens in cookies, so that one that was made up costs no question to the store.
    ///
    /// What no living key of the ring signed for this cookie's name is no token: a forged or changed one, one of
    /// another environment, of a revoked key, and one that is not signed. It reaches no store, and it takes no
    /// place among the two tokens that are looked at, so cookies that somebody plants cannot crowd out the
    /// user's. The newest active key signs: HMAC-SHA256, cut to 128 bits (RFC 2104 section 5; OWASP ASVS 5.0,
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
        let frame = Frame { signing: Some(Arc::new(keys)), ..Frame::of(&self.shared).clone() };
        self.shared_mut().frame = Arc::new(frame);
        self
    }
}
