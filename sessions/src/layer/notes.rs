//! Notes about a request's cookies, from its first extractor to its response.

use std::sync::atomic::Ordering;

use crate::slot::Slot;

/// Notes about a request, taken when its session is first opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CookieNotes {
    /// True if it came with more than one cookie of the name.
    pub(super) is_repeated: bool,
    /// True if it came over plain HTTP, without a token, and the cookie is `Secure`.
    pub(super) is_over_http: bool,
}

impl CookieNotes {
    /// Returns the notes in a request's slot.
    pub(super) fn of(slot: &Slot) -> Self {
        let bits = slot.notes.load(Ordering::Relaxed);
        Self { is_repeated: bits & 1 != 0, is_over_http: bits & 2 != 0 }
    }

    /// Writes the notes into a request's slot.
    pub(super) fn note(self, slot: &Slot) {
        slot.notes.store(u8::from(self.is_repeated) | u8::from(self.is_over_http) << 1, Ordering::Relaxed);
    }
}
