//! The operations of a store, as calls of one script.

use std::{fmt, sync::Arc, time::Instant};

use super::{
    client::WebdisClient,
    failure::{CallFailure, Reason},
    items::{self, ScriptReply},
    nonce::Nonce,
    script_failure::ScriptFailure,
};
use crate::{
    clock::AnyClock,
    error::Error,
    random,
    store::{
        Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store,
        hash::{self, Malformed, Prefix, ReplyItem, ScriptTime, ServerClock, scripts},
    },
    value::{Credentials, FieldName, RecordId, Timeouts, Timestamp},
};

/// The number of attempts for an operation that may happen twice.
const ATTEMPTS: usize = 3;

/// A store in Redis behind [Webdis](https://webd.is), for programs that can send HTTP and nothing else.
///
/// ```no_run
/// use sessions::{SessionLayer, store::WebdisStore};
///
/// # async fn open() -> Result<(), sessions::Error> {
/// let store = WebdisStore::connect("http://user:password@webdis.internal:7379").await?;
/// let layer = SessionLayer::new(store);
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # use std::time::Duration;
/// # use sessions::store::WebdisStore;
/// # async fn open() -> Result<(), sessions::Error> {
/// let store = WebdisStore::builder("http://webdis.internal:7379")
///     .with_basic_auth("user", "password")
///     .with_prefix("shop:")?
///     .with_timeout(Duration::from_secs(2))
///     .connect()
///     .await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// A clone is the same store. The layout is that of [`RedisStore`](crate::store::RedisStore), and both may serve the
/// same sessions at once. Every operation is one `POST`. `https://` needs the feature `webdis-tls`, and a server in
/// front of Webdis that speaks it.
///
/// # Which Webdis
///
/// 0.1.20 or newer. Older ones, Debian's 0.1.9 among them, can deliver the reply to a client that has gone to another
/// client. This store does not take such a reply for its own:
///
/// - Each reply proves by a random nonce at both ends that it belongs to the call. A reply without it counts as none.
/// - A call is never abandoned. If its caller goes, the store still reads the reply.
/// - A connection on which an old reply may come is quarantined until that reply has come.
///   [`quarantined_connections_total`](Self::quarantined_connections_total) counts these.
///
/// But other clients of such a Webdis may get this store's replies. So let it serve sessions only.
///
/// Webdis must not be reachable from browsers: it allows every origin.
///
/// # Permissions
///
/// There are two ACLs. The one of Webdis lets one user run scripts, and nothing else:
///
/// ```text
/// "acl": [
///     {"disabled": ["*"]},
///     {"http_basic_auth": "user:password", "enabled": ["EVAL", "EVALSHA"]}
/// ]
/// ```
///
/// A script may run any command. So the one of Redis restricts the user as which Webdis logs in, here in `redis.conf`
/// (one line):
///
/// ```text
/// user default on >password resetkeys ~sess:* -@all +eval +evalsha +time +hget +hmget +hgetall +hkeys +exists +hset +hdel +pexpire +del
/// ```
///
/// Webdis 0.1.9 can log in as `default` only: `"redis_auth": "password"`. It silently ignores `["user", "password"]`,
/// and if `default` is open it then has all rights. For another database than 0 add `+select`.
///
/// # When a server is away
///
/// Requests that need a session are answered with 503 within the timeout
/// ([`WebdisStoreBuilder::with_timeout`](crate::store::WebdisStoreBuilder::with_timeout), five seconds by default).
/// When Webdis and Redis are back, sessions work again.
///
/// An operation that must happen once is sent once. If its reply is missing or not verified, the store looks for the
/// effect of counters, rotations and new sessions. An outcome that stays unclear is reported as
/// [unknown](crate::ErrorKind::OutcomeUnknown). A commit that Redis reads after the timeout does nothing. Until then,
/// a put of unknown outcome may still overwrite a newer one.
///
/// After Redis has forgotten its scripts, the first commit or new session may be refused, if it comes before any
/// load. A load notices and sends the script again.
#[derive(Clone)]
pub struct WebdisStore {
    pub(super) client: Arc<WebdisClient>,
    pub(super) prefix: Prefix,
    /// A clock for tests, in place of the server's.
    pub(super) clock: Option<AnyClock>,
    /// The clock of Redis.
    pub(super) server_clock: Arc<ServerClock>,
}

/// The operation that the script carries out.
#[derive(Clone, Copy)]
enum ScriptOperation {
    Load,
    Create,
    Commit,
    Destroy,
}

impl WebdisStore {
    /// Returns the number of connections that are quarantined: the reply to their last call is still to come, or
    /// another client's came in its place. At 64 nothing more is sent until some are free.
    #[must_use]
    pub fn quarantined_connections(&self) -> usize {
        self.client.quarantined_now()
    }

    /// Returns the number of connections that were ever quarantined, for a metric. It grows if Webdis mixes up replies.
    #[must_use]
    pub fn quarantined_connections_total(&self) -> u64 {
        self.client.quarantined_total()
    }

    /// Tries all that the store will do, on a record that no request sees.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        let id = RecordId::from_bytes(random::bytes()?);
        let time = self.time();
        for names in [&[][..], &[FieldName::from_static("[")]] {
            self.read(id, |words| hash::load(names, words)).await.map_err(ScriptFailure::into_opening)?;
        }
        let (new, commit) = (hash::probe_record(), hash::probe_commit());
        let created =
            self.call(ScriptOperation::Create, id, |words| hash::create(&new, time, words), false).await;
        let changed = match &created {
            Ok(_) => {
                self.call(ScriptOperation::Commit, id, |words| hash::commit(0, &commit, time, words), false)
                    .await
            }
            Err(_) => Ok(Vec::new()),
        };
        // The record is deleted whether or not the create and the commit succeeded.
        let destroyed = self.delete(id).await;
        created.and(changed).and(destroyed).map_err(ScriptFailure::into_opening)?;
        Ok(())
    }

    async fn delete(&self, id: RecordId) -> Result<Vec<ReplyItem>, ScriptFailure> {
        let arguments = |words: &mut Vec<_>| hash::head(0, &Timeouts::default(), false, self.time(), words);
        self.repeatable(ScriptOperation::Destroy, id, arguments).await
    }

    /// Runs the script once. With `with_text` its text is sent, after which Redis knows it.
    async fn call(
        &self,
        operation: ScriptOperation,
        id: RecordId,
        arguments: impl FnOnce(&mut Vec<Box<[u8]>>),
        with_text: bool,
    ) -> Result<Vec<ReplyItem>, ScriptFailure> {
        let script = &scripts().webdis;
        let nonce = Nonce::new().map_err(ScriptFailure::Refused)?;
        let key = self.prefix.key(id);
        let mut rest = Vec::new();
        arguments(&mut rest);
        let (command, script) =
            if with_text { ("EVAL", script.text.as_bytes()) } else { ("EVALSHA", script.sha.as_bytes()) };
        let mut words = vec![
            command.as_bytes(),
            script,
            b"1",
            key.as_bytes(),
            nonce.as_bytes(),
            operation.name().as_bytes(),
        ];
        words.extend(rest.iter().map(|argument| &**argument));
        match self.client.call(&words, &nonce).await {
            Ok(answer) => match items::read(answer) {
                Ok(ScriptReply::Items(items)) => Ok(items),
                Ok(ScriptReply::Error(code)) => Err(ScriptFailure::of(code)),
                Err(malformed) => Err(ScriptFailure::Refused(Error::unavailable(malformed))),
            },
            Err(CallFailure::NotSent(error)) => Err(ScriptFailure::Refused(error)),
            Err(CallFailure::Unverified { reason }) => Err(ScriptFailure::Unknown(reason)),
        }
    }

    /// Runs the script for an operation that may happen twice, up to [`ATTEMPTS`] times.
    async fn repeatable(
        &self,
        operation: ScriptOperation,
        id: RecordId,
        arguments: impl Fn(&mut Vec<Box<[u8]>>),
    ) -> Result<Vec<ReplyItem>, ScriptFailure> {
        let mut with_text = false;
        for _ in 1..ATTEMPTS {
            match self.call(operation, id, &arguments, with_text).await {
                Err(ScriptFailure::Unknown(Reason::Redis(code))) if code.as_str() == "NOSCRIPT" => {
                    with_text = true;
                }
                Err(ScriptFailure::Unknown(Reason::Cut | Reason::Foreign)) => {}
                ended => return ended,
            }
        }
        self.call(operation, id, &arguments, with_text).await
    }

    /// Reads the time and the fields of `arguments`.
    async fn read(
        &self,
        id: RecordId,
        arguments: impl Fn(&mut Vec<Box<[u8]>>),
    ) -> Result<(Timestamp, Vec<ReplyItem>), ScriptFailure> {
        let arguments = |words: &mut Vec<_>| {
            hash::head(0, &Timeouts::default(), false, self.time(), words);
            arguments(words);
        };
        let mut items = self.repeatable(ScriptOperation::Load, id, arguments).await?.into_iter();
        let Some(Ok(CreateOutcome::Created(now))) = items.next().as_ref().map(hash::created) else {
            return Err(ScriptFailure::Refused(Error::unavailable(Malformed)));
        };
        self.server_clock.set(now);
        Ok((now, items.collect()))
    }

    /// Returns the time for a script that may be carried out at any moment.
    fn time(&self) -> ScriptTime {
        ScriptTime::new(self.clock.as_ref(), || None)
    }

    /// Returns the time for a script that must not be carried out after this moment.
    async fn time_until(&self, id: RecordId, moment: Instant) -> Result<ScriptTime, Error> {
        if self.clock.is_none() && self.server_clock.at(moment).is_none() {
            Box::pin(self.read(id, hash::look)).await.map_err(ScriptFailure::into_read)?;
        }
        Ok(ScriptTime::new(self.clock.as_ref(), || self.server_clock.at(moment)))
    }
}

impl Store for WebdisStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let read = self.read(id, |words| hash::load(names, words)).await;
        let (now, items) = read.map_err(ScriptFailure::into_read)?;
        hash::loaded(names, now, items).map_err(Error::unreadable)
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let arguments = |words: &mut Vec<_>| hash::create(&new, self.time(), words);
        match self.call(ScriptOperation::Create, id, arguments, false).await {
            Ok(items) => {
                items.first().ok_or(Malformed).and_then(hash::created).map_err(Error::outcome_unknown)
            }
            Err(ScriptFailure::Refused(error)) => Err(error),
            Err(ScriptFailure::Unknown(reason)) => {
                match self.look_for_record(id, &new.credentials, &reason).await {
                    Some(created) => Ok(CreateOutcome::Created(created)),
                    None => Err(Error::outcome_unknown(reason)),
                }
            }
        }
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        // No record of this store has an epoch beyond 32 bits.
        let Ok(epoch) = u32::try_from(commit.epoch) else { return Ok(CommitOutcome::StaleEpoch) };
        let until = Instant::now() + self.client.timeout();
        for _ in 0..ATTEMPTS {
            if Instant::now() >= until {
                break;
            }
            let time = self.time_until(id, until).await?;
            let arguments = |words: &mut Vec<_>| hash::commit(epoch, &commit, time, words);
            match self.call(ScriptOperation::Commit, id, arguments, false).await {
                Ok(items) => {
                    if let Some(answer) = hash::answer(&commit, items).map_err(Error::outcome_unknown)? {
                        return Ok(answer);
                    }
                    // Redis says that it is too late, but the time is not over. So its clock was set since it was read.
                    Box::pin(self.read(id, hash::look)).await.map_err(ScriptFailure::into_read)?;
                }
                Err(ScriptFailure::Refused(error)) => return Err(error),
                Err(ScriptFailure::Unknown(reason)) => {
                    if self.look_for_commit(id, &commit, &reason).await {
                        return Ok(CommitOutcome::Applied(Vec::new()));
                    }
                    return Err(Error::outcome_unknown(reason));
                }
            }
        }
        Err(Error::unavailable("the commit did not reach Redis in time, so it did nothing; try again"))
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        match self.delete(id).await {
            Ok(_) => Ok(()),
            Err(ScriptFailure::Refused(error)) => Err(error),
            Err(ScriptFailure::Unknown(reason)) => Err(Error::outcome_unknown(reason)),
        }
    }

    /// Does nothing: keys expire by themselves.
    async fn purge(&self, _timeouts: Timeouts, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn expires_by_itself(&self) -> bool {
        true
    }
}

/// The questions after an unknown outcome. As in `RedisStore`, an operation that must happen once is not sent again,
/// not even after `NOSCRIPT`: that may have been another client's reply.
impl WebdisStore {
    /// Returns true if the record remembers a commit whose outcome is unknown.
    async fn look_for_commit(&self, id: RecordId, commit: &Commit, reason: &Reason) -> bool {
        // After a timeout there is no time left. Values to return would be those of now, and not those after the
        // commit.
        let is_unknown_script = matches!(reason, Reason::Redis(code) if code.as_str() == "NOSCRIPT");
        let can_tell = commit.id.is_some() && commit.returning.is_empty();
        if *reason == Reason::TimedOut || !(can_tell || is_unknown_script) {
            return false;
        }
        // If Redis has forgotten the script, this read sends it again, so that the next commit succeeds.
        let seen = self.read(id, hash::look).await;
        can_tell && seen.is_ok_and(|(_, items)| hash::remembers(commit, items))
    }

    /// Returns the time at which the record with these credentials was created, if it exists.
    async fn look_for_record(
        &self,
        id: RecordId,
        credentials: &Credentials,
        reason: &Reason,
    ) -> Option<Timestamp> {
        if *reason == Reason::TimedOut {
            return None;
        }
        let (now, items) = self.read(id, |words| hash::load(&[], words)).await.ok()?;
        let loaded = hash::loaded(&[], now, items).ok()??;
        (loaded.credentials == *credentials).then_some(loaded.created)
    }
}

impl ScriptOperation {
    /// Returns the name that the script has for it.
    const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Create => "create",
            Self::Commit => "commit",
            Self::Destroy => "destroy",
        }
    }
}

impl fmt::Debug for WebdisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebdisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
