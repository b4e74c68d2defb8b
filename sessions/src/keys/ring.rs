//! The key ring: which key seals and signs, and which ones open and verify.

use std::{fmt, iter};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::Hmac;
use sha2::Sha256;

use super::{Key, OpenError};
use crate::{error::Error, value::KeyId};

/// The keys of a service, of which one seals and signs.
///
/// | a key is | it seals and signs | it opens and verifies |
/// |---|---|---|
/// | created: known, not used yet | no | yes |
/// | active, the newest | yes | yes |
/// | active, an older one | no | yes |
/// | revoked | no | no |
///
/// A value that no living key of the ring has made is refused. Sealing is XChaCha20-Poly1305 with a random nonce, signing
/// is HMAC-SHA256, each with a key of its own that HKDF derives (OWASP ASVS 5.0, 11.3.2, 11.3.3 and Appendix C). A sealed
/// value is bound to the layer's purpose (its cookie's name), the record and the field: moved elsewhere it does not open.
/// It shows the value's length. An attacker who can write to the store can put back an older value of the same field.
///
/// ```
/// use sessions::{Key, KeyRing};
///
/// # fn ring() -> Result<(), sessions::Error> {
/// let (old, new) = (Key::generate()?, Key::generate()?);
/// let (old_id, new_id) = (old.id(), new.id());
/// let ring = KeyRing::new(old).add_active(new)?;
/// assert_eq!(ring.sealing_key(), new_id);
///
/// // Read from configuration, with the leaked old key revoked.
/// # let text = Key::generate()?.expose_base64();
/// let ring = KeyRing::parse(&format!("revoked:{old_id} active:{text}"))?;
/// # assert_eq!(ring.sealing_key(), Key::from_base64(&text)?.id());
/// # Ok(())
/// # }
/// # ring().unwrap();
/// ```
///
/// # How to change the key
///
/// Instances restart one after the other, so all must know a new key before the first one uses it (OWASP ASVS 5.0, 11.1.1;
/// NIST SP 800-57 part 1). With the keys in one variable that [`parse`](Self::parse) reads:
///
/// 1. Make a key and put it last, `created:…`. Restart every instance: now all can open what it seals.
/// 2. Write `active` in place of `created`. Restart every instance: now all seal with it. `Debug` of a ring
///    and [`sealing_key`](Self::sealing_key) show the ids of the keys in use.
/// 3. Wait for twice the longest absolute timeout: a login starts that time again and keeps the visitor's fields. Then no
///    session has a cookie or value that the old key made. A secret field that is also `keep_on_logout` outlives logins
///    and logouts: set it again. Take the old key out.
///
/// # When a key has leaked
///
/// Put a new key in as `active`, replace the leaked key by `revoked:` and its id, and restart every instance at once.
///
/// - Sessions whose cookie the leaked key signed end.
/// - Values that it sealed do not open any more. Requests of views that have them are refused until the session ends,
///   unless the field says `on_invalid = "reset"`. So end those sessions with
///   [`with_not_before`](crate::SessionLayer::with_not_before).
/// - Keep the id in the list for twice the longest absolute timeout, so that the key does not come back by mistake.
#[derive(Clone)]
pub struct KeyRing {
    /// The newest active key. A ring always has one.
    newest: LiveKey,
    /// The created keys and the older active keys.
    others: Vec<LiveKey>,
    revoked: Vec<KeyId>,
}

/// A key that opens and verifies, with what is derived from it.
#[derive(Clone)]
pub(super) struct LiveKey {
    pub(super) id: KeyId,
    pub(super) sealing: XChaCha20Poly1305,
    pub(super) signing: Hmac<Sha256>,
}

impl KeyRing {
    /// Creates a ring of one active key.
    #[must_use]
    pub fn new(active: Key) -> Self {
        Self { newest: LiveKey::new(&active), others: Vec::new(), revoked: Vec::new() }
    }

    /// Reads a ring from configuration: entries separated by white space, the oldest first. Each is `created:` or
    /// `active:` with the text of a key, or `revoked:` with a key's id.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for anything else, for a key that is there twice, and if no key is active.
    /// The message shows no key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (mut active, mut created, mut revoked) = (Vec::new(), Vec::new(), Vec::new());
        for (at, entry) in text.split_whitespace().enumerate() {
            let refuse = |why: &str| Error::config(format!("entry {} of the key ring: {why}", at + 1));
            let key = |text| Key::from_base64(text).map_err(|error| refuse(&error.to_string()));
            match entry.split_once(':') {
                Some(("active", text)) => active.push(key(text)?),
                Some(("created", text)) => created.push(key(text)?),
                Some(("revoked", text)) => revoked.push(
                    KeyId::parse(text)
                        .ok_or_else(|| refuse("a revoked key is named by its id, 8 hexadecimal digits"))?,
                ),
                _ => {
                    return Err(refuse(
                        "write `active:` or `created:` and a key, or `revoked:` and a key's id",
                    ));
                }
            }
        }
        let mut active = active.into_iter();
        let Some(oldest) = active.next() else {
            return Err(Error::config("the key ring has no active key; write `active:` and a key"));
        };
        let ring = active.try_fold(Self::new(oldest), Self::add_active)?;
        let ring = created.into_iter().try_fold(ring, Self::add_created)?;
        revoked.into_iter().try_fold(ring, Self::add_revoked)
    }

    /// Adds a newer active key, which seals and signs from now on.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if a key of this id is there.
    pub fn add_active(mut self, key: Key) -> Result<Self, Error> {
        self.check_is_new(key.id())?;
        let older = std::mem::replace(&mut self.newest, LiveKey::new(&key));
        self.others.push(older);
        Ok(self)
    }

    /// Adds a key that opens and verifies what other instances make with it, and makes nothing here.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if a key of this id is there.
    pub fn add_created(mut self, key: Key) -> Result<Self, Error> {
        self.check_is_new(key.id())?;
        self.others.push(LiveKey::new(&key));
        Ok(self)
    }

    /// Adds a key that opens nothing. Its id is enough, so that the key itself can be destroyed.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if a key of this id is there: take it out.
    pub fn add_revoked(mut self, id: KeyId) -> Result<Self, Error> {
        self.check_is_new(id)?;
        self.revoked.push(id);
        Ok(self)
    }

    /// Returns the id of the key that seals and signs.
    #[must_use]
    pub const fn sealing_key(&self) -> KeyId {
        self.newest.id
    }

    pub(super) const fn newest(&self) -> &LiveKey {
        &self.newest
    }

    /// Returns the key of this id, if it may open.
    pub(super) fn live(&self, id: KeyId) -> Result<&LiveKey, OpenError> {
        if self.revoked.contains(&id) {
            return Err(OpenError::RevokedKey(id));
        }
        self.all_live().find(|key| key.id == id).ok_or(OpenError::UnknownKey(id))
    }

    fn all_live(&self) -> impl Iterator<Item = &LiveKey> {
        iter::once(&self.newest).chain(&self.others)
    }

    fn check_is_new(&self, id: KeyId) -> Result<(), Error> {
        if self.revoked.contains(&id) || self.all_live().any(|key| key.id == id) {
            return Err(Error::config(format!(
                "the key {id} is in the key ring twice; leave one, `revoked` if it may have leaked"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opening: Vec<KeyId> = self.others.iter().map(|key| key.id).collect();
        f.debug_struct("KeyRing")
            .field("sealing", &self.newest.id)
            .field("opening", &opening)
            .field("revoked", &self.revoked)
            .finish()
    }
}

impl LiveKey {
    fn new(key: &Key) -> Self {
        Self { id: key.id(), sealing: XChaCha20Poly1305::new(&key.sealing().into()), signing: key.signing() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn id(byte: u8) -> KeyId {
        Key::of(byte).id()
    }

    #[test]
    fn the_newest_active_key_seals() {
        let ring = KeyRing::new(Key::of(1));
        assert_eq!(ring.sealing_key(), id(1));
        let ring = ring.add_created(Key::of(2)).unwrap();
        assert_eq!(ring.sealing_key(), id(1));
        let ring = ring.add_active(Key::of(3)).unwrap();
        assert_eq!(ring.sealing_key(), id(3));
        let ring = ring.add_revoked(id(4)).unwrap();
        assert_eq!(ring.sealing_key(), id(3));
        for live in [1, 2, 3] {
            assert_eq!(ring.live(id(live)).unwrap().id, id(live));
        }
        assert_eq!(ring.live(id(4)).err(), Some(OpenError::RevokedKey(id(4))));
        assert_eq!(ring.live(id(5)).err(), Some(OpenError::UnknownKey(id(5))));
    }

    #[test]
    fn no_key_is_there_twice() {
        let ring = || {
            let ring = KeyRing::new(Key::of(1)).add_active(Key::of(2)).unwrap();
            ring.add_created(Key::of(3)).unwrap().add_revoked(id(4)).unwrap()
        };
        for byte in 1..=4 {
            let added = [
                ring().add_active(Key::of(byte)),
                ring().add_created(Key::of(byte)),
                ring().add_revoked(id(byte)),
            ];
            for added in added {
                let error = added.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains(&id(byte).to_string()), "{error}");
            }
        }
    }

    #[test]
    fn a_ring_reads_from_configuration() {
        let keys = [(); 3].map(|()| Key::generate().unwrap());
        let [old, new, next] = keys.each_ref().map(Key::expose_base64);
        let text = format!("created:{next}\n  active:{old} active:{new}\trevoked:{}\n", id(9));
        let ring = KeyRing::parse(&text).unwrap();
        let [old, active, created] = keys;
        let expected = KeyRing::new(old).add_active(active).unwrap();
        let expected = expected.add_created(created).unwrap().add_revoked(id(9)).unwrap();
        assert_eq!(format!("{ring:?}"), format!("{expected:?}"));
        assert_eq!(ring.sealing_key(), Key::from_base64(&new).unwrap().id());
    }

    #[test]
    fn what_is_no_ring_is_refused() {
        let key = Key::generate().unwrap();
        let text = key.expose_base64();
        let cases = [
            (String::new(), "no active key"),
            (format!("created:{text}"), "no active key"),
            (format!("revoked:{}", key.id()), "no active key"),
            (text.clone(), "entry 1 of the key ring: write `active:`"),
            (format!("active:{text} retired:{text}"), "entry 2 of the key ring: write `active:`"),
            (format!("ACTIVE:{text}"), "entry 1 of the key ring: write `active:`"),
            (format!("active:{text} active:{}", &text[1..]), "entry 2 of the key ring: a session key has 43"),
            (format!("active:{text} revoked:{text}"), "named by its id"),
            (format!("active:{text} created:{text}"), "twice"),
            (format!("active:{text} revoked:{}", key.id()), "twice"),
        ];
        for (config, why) in cases {
            let error = KeyRing::parse(&config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(why), "{why}: {shown}");
            assert!(!shown.contains(&text[1..]), "{shown}");
        }
    }

    #[test]
    fn debug_shows_ids_only() {
        let ring = KeyRing::new(Key::of(1)).add_active(Key::of(2)).unwrap().add_revoked(id(3)).unwrap();
        let expected =
            format!("KeyRing {{ sealing: {:?}, opening: [{:?}], revoked: [{:?}] }}", id(2), id(1), id(3));
        assert_eq!(format!("{ring:?}"), expected);
    }
}
