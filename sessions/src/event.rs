//! What a layer reports beyond what a response can say.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    error::{Error, ErrorKind},
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    value::{FieldName, RecordId, Timestamp},
};

/// Something about a session that somebody should know.
///
/// Without a hook of your own ([`SessionLayer::with_event_hook`](crate::SessionLayer::with_event_hook))
/// events go to `tracing` (feature `tracing`). Records appear by their public handle only.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A session began: it has something in it, and its cookie is on the way.
    Created {
        /// The record.
        record: RecordId,
    },
    /// A session has a new secret, and the old one is worth nothing: by a login, by another change of rights or
    /// because it was asked for.
    Rotated {
        /// The record.
        record: RecordId,
        /// Whether somebody logged in who was not before.
        is_login: bool,
    },
    /// A session has a new secret with the powers of the old one, which is good until the new one is seen.
    Renewed {
        /// The record.
        record: RecordId,
    },
    /// A session was ended by its user or the application.
    Destroyed {
        /// The record.
        record: RecordId,
    },
    /// A stored value could not be read as its field's type, or not be opened: it counts as absent, or the request
    /// is refused, as the field says (`on_invalid`).
    UndecodableField {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The field.
        field: &'a FieldName,
        /// What is wrong, and where. Never the value, which serde's own messages quote.
        reason: &'a str,
    },
    /// Changes were dropped because the response head had left: save them with `save().await`.
    UnsavedChanges {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The fields that were changed.
        fields: Vec<FieldName>,
    },
    /// A request sent two live tokens of this layer's cookie; neither was used.
    TwoLiveTokens {
        /// Their records.
        records: [RecordId; 2],
    },
    /// A request came with a session's own token, and the session is over.
    Expired {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was replaced a moment ago: it has no rights and gets no cookie, since
    /// another request has the new one.
    Superseded {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was replaced more than a minute ago. A browser that was switched off
    /// may do that, and so does who has stolen an old one.
    Stale {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was never the record's, as far as it remembers. Reported once a second.
    Forged {
        /// The record.
        record: RecordId,
        /// How many others there were since the last report, of any record.
        unreported: u64,
    },
    /// A request came with a signed token that is not taken: somebody made it up, or its key is not in the ring of
    /// this layer, or revoked. Reported once a second.
    BadSignature {
        /// What is wrong, with the key's id.
        reason: &'a str,
        /// How many others there were since the last report.
        unreported: u64,
    },
    /// A view needs what the layer does not have, so that every request that takes it is answered with an error.
    Misconfigured {
        /// What is missing, and what to write.
        error: &'a Error,
    },
    /// A record could not be read, so that its request is answered with an error.
    LoadFailed {
        /// The record.
        record: RecordId,
        /// Why.
        error: &'a Error,
    },
    /// A commit was refused, since another request had rotated or ended the session, or changed what it relied
    /// on. Nothing of it was written.
    Conflict {
        /// The record.
        record: RecordId,
        /// Why.
        error: &'a Error,
    },
    /// The store took more than a tenth of the time it has for one operation
    /// ([`with_store_timeout`](crate::SessionLayer::with_store_timeout)).
    StoreSlow {
        /// How long it took.
        took: Duration,
    },
    /// A commit, destroy or touch did not go through, or nobody knows whether it did
    /// ([`Unknown`](crate::ErrorKind::Unknown)).
    CommitFailed {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// Why.
        error: &'a Error,
    },
    /// The clean-up of dead records failed; the next one is tried all the same.
    PurgeFailed {
        /// Why.
        error: &'a Error,
    },
}

/// Lets one event of a kind through in a second: whoever tries out secrets must not fill the log.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// When the last one was let through, in milliseconds by the clock of whoever reports.
    last: AtomicI64,
    unreported: AtomicU64,
}

impl Throttle {
    /// Counts one. If it is to be reported: how many were not since the last one that was.
    pub(crate) fn count(&self, now: Timestamp) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let is_due =
            last == 0 || now.saturating_since(Timestamp::from_millis(last)) >= Duration::from_secs(1);
        let is_mine = is_due
            && self
                .last
                .compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_mine {
            return Some(self.unreported.swap(0, Ordering::Relaxed));
        }
        self.unreported.fetch_add(1, Ordering::Relaxed);
        None
    }
}

type Hook = dyn Fn(&Event<'_>) + Send + Sync;

/// Where a layer's events go.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Hook>>);

impl Events {
    pub(crate) fn to(hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Reports why a commit did not go through.
    pub(crate) fn report_failure(&self, record: Option<RecordId>, error: &Error) {
        self.report(&match record {
            Some(record) if error.kind() == ErrorKind::Refused => Event::Conflict { record, error },
            _ => Event::CommitFailed { record, error },
        });
    }

    pub(crate) fn report(&self, event: &Event<'_>) {
        match &self.0 {
            Some(hook) => hook(event),
            None => trace(event),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Events(hook)" } else { "Events(tracing)" })
    }
}

#[cfg(feature = "tracing")]
fn trace(event: &Event<'_>) {
    match event {
        Event::UndecodableField { record, field, reason } => {
            tracing::warn!(?record, %field, reason, "stored session field does not decode");
        }
        Event::UnsavedChanges { record, fields } => {
            tracing::error!(
                ?record,
                ?fields,
                "session changes dropped after the response head left; call save().await"
            );
        }
        Event::TwoLiveTokens { records } => {
            tracing::warn!(?records, "two live session tokens in one request, using neither");
        }
        Event::Created { record } => tracing::debug!(%record, "session created"),
        Event::Rotated { record, is_login } => tracing::info!(%record, is_login, "session rotated"),
        Event::Renewed { record } => tracing::debug!(%record, "session renewed"),
        Event::Destroyed { record } => tracing::info!(%record, "session destroyed"),
        Event::Conflict { record, error } => tracing::warn!(%record, %error, "session commit refused"),
        Event::StoreSlow { took } => tracing::warn!(?took, "session store slow"),
        Event::Expired { record } => tracing::debug!(%record, "session expired"),
        Event::Superseded { record } => {
            tracing::debug!(%record, "session token superseded a moment ago");
        }
        Event::Stale { record } => tracing::warn!(%record, "session token superseded long ago"),
        Event::Forged { record, unreported } => {
            tracing::warn!(%record, unreported, "forged session token");
        }
        Event::BadSignature { reason, unreported } => {
            tracing::warn!(reason, unreported, "session token with a bad signature");
        }
        Event::Misconfigured { error } => tracing::error!(%error, "session layer misconfigured"),
        Event::LoadFailed { record, error } => {
            tracing::error!(%record, %error, source = error_source(error), "session load failed");
        }
        Event::CommitFailed { record, error } => {
            tracing::error!(?record, %error, source = error_source(error), "session commit failed");
        }
        Event::PurgeFailed { error } => {
            tracing::warn!(%error, source = error_source(error), "session purge failed");
        }
    }
}

#[cfg(feature = "tracing")]
fn error_source(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[cfg(not(feature = "tracing"))]
fn trace(_event: &Event<'_>) {}
