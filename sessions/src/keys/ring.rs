//! Which key does what.

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
/// What no living key of the ring has made is refused; there is no other way to read it. Sealing is
/// XChaCha20-Poly1305 with a random nonce, signing HMAC-SHA256, each with a key of its own that HKDF
/// derives (OWASP ASVS 5.0, 11.3.2, 11.3.3 and Appendix C). A sealed value is bound to the layer's purpose,
/// the record and the field: put anywhere else it does not open. It shows how long the value is, and
/// whoever can write to the store can put back an older value of the same field.
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
/// // The same from configuration, with the leaked old key out of use.
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
/// Instances are restarted one after the other, so a new key must be known everywhere before the first
/// uses it (OWASP ASVS 5.0, 11.1.1; NIST SP 800-57 part 1). With the keys in one variable that
/// [`parse`](Self::parse) reads:
///
/// 1. Make a key and put it last, `created:…`. Restart every instance: now all can open what it seals.
/// 2. Write `active` in place of `created`. Restart every instance: now all seal with it. `Debug` of a ring
///    and [`sealing_key`](Self::sealing_key) tell who does what, by ids.
/// 3. Wait for twice the longest absolute timeout, since a login begins that time anew and keeps what the
///    visitor's session held: then no session is left whose cookie or values the old key made. (A secret field that
///    is also `keep_on_logout` outlives logins and logouts: set it anew.) Take the old key out.
///
/// When a key has leaked, there is no time for that: put a new key in as `active`, write `revoked:` and the
/// leaked key's id in place of the leaked key, and restart every instance at once. Sessions whose cookie
/// the old key signed end; that is the point. Values that it sealed do not open any more, so requests of views that
/// have them are refused until the session ends, unless the field says `on_invalid = "reset"`: end those
/// sessions with [`with_not_before`](crate::SessionLayer::with_not_before). The key's id stays in the
/// list for as long, so that nobody brings it back by mistake.
#[derive(Clone)]
pub struct KeyRing {
    /// The newest active one, so that there always is one.
    newest: LiveKey,
    /// The created ones and the older active ones.
    others: Vec<LiveKey>,
    revoked: Vec<KeyId>,
}

/// What a key that opens is used for.
#[derive(Clone)]
pub(super) struct LiveKey {
    pub(super) id: KeyId,
    pub(super) sealing: XChaCha20Poly1305,
    pub(super) signing: Hmac<Sha256>,
}

impl KeyRing {
    /// A ring of one active key.
    #[must_use]
    pub fn new(active: Key) -> Self {
        Self { newest: LiveKey::new(&active), others: Vec::new(), revoked: Vec::new() }
    }

    /// The ring that a configuration describes: entries apart by white space, the oldest first, each
    /// `created:` or `active:` with the text of a key, or `revoked:` with a key's id.
    ///
    /// # Errors
    ///
    /// `Config` for anything else, for a key that is there twice, and if no key is active. The message
    /// shows no key.
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

    /// Adds a newer active key: from now on this one seals and signs.
    ///
    /// # Errors
    ///
    /// `Config` if a key of this id is there.
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
    /// `Config` if a key of this id is there.
    pub fn add_created(mut self, key: Key) -> Result<Self, Error> {
        self.check_is_new(key.id())?;
        self.others.push(LiveKey::new(&key));
        Ok(self)
    }

    /// Adds a key that opens nothing. Its id is enough, so that the key itself can be destroyed.
    ///
    /// # Errors
    ///
    /// `Config` if a key of this id is there: take it out.
    pub fn add_revoked(mut self, id: KeyId) -> Result<Self, Error> {
        self.check_is_new(id)?;
        self.revoked.push(id);
        Ok(self)
    }

    /// The id of the key that seals and signs.
    #[must_use]
    pub const fn sealing_key(&self) -> KeyId {
        self.newest.id
    }

    pub(super) const fn newest(&self) -> &LiveKey {
        &self.newest
    }

    /// The key of this id, if it may open.
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
