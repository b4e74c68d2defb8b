//! The store's operations as calls of one script.

use std::{error::Error as StdError, fmt, sync::Arc, time::Instant};

use http::StatusCode;

#[cfg(feature = "webdis-tls")]
use super::failure::NotSent;
use super::{
    builder::WebdisStoreBuilder,
    channels::Channels,
    failure::{CallFailure, Code, Reason},
    items::{self, Answered},
    nonce::Nonce,
};
use crate::{
    clock::AnyClock,
    error::Error,
    random,
    store::{
        Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store,
        hash::{self, Item, Malformed, Prefix, ServerClock, Time, scripts},
    },
    value::{Credentials, FieldName, RecordId, Timeouts, Timestamp},
};

/// How often something that may happen twice is tried.
const ATTEMPTS: usize = 3;

/// Sessions in Redis behind [Webdis](https://webd.is), for programs that can send HTTP and nothing else.
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
/// A clone is the same store. The layout is that of [`RedisStore`](crate::store::RedisStore), and both may
/// serve the same sessions at once. Every operation is one `POST`. `https://` needs the feature
/// `webdis-tls`, and something that speaks it in front of Webdis.
///
/// # Which Webdis
///
/// 0.1.20 or newer. Older ones, Debian's 0.1.9 among them, deliver the reply to a client that has gone to
/// another one. This store is safe from that: each of its answers proves with a random nonce at both ends
/// that it belongs to the question, anything else counts as no answer, questions are never abandoned, and
/// a connection that may still bring an old answer is kept aside until it has.
/// [`poisoned_connections_total`](Self::poisoned_connections_total) tells how often that was needed. But other
/// clients of such a Webdis may get this store's answers, so let it serve sessions only.
///
/// Webdis must not be reachable from browsers: it allows every origin.
///
/// # Permissions
///
/// Two locks. Webdis lets through scripts of one user only:
///
/// ```text
/// "acl": [
///     {"disabled": ["*"]},
///     {"http_basic_auth": "user:password", "enabled": ["EVAL", "EVALSHA"]}
/// ]
/// ```
///
/// And since a script may run any command, Redis restricts the user as whom Webdis logs in, here in
/// `redis.conf` (one line):
///
/// ```text
/// user default on >password resetkeys ~sess:* -@all +eval +evalsha +time +hget +hmget +hkeys +exists +hset +hdel +pexpire +del
/// ```
///
/// Webdis 0.1.9 can log in as `default` only: `"redis_auth": "password"`. It ignores `["user", "password"]`
/// without a word, and if `default` is open it then has all rights. For another database than 0 add
/// `+select`.
///
/// # When a server is away
///
/// Requests that need a session are answered with 503 within the timeout
/// ([`WebdisStoreBuilder::with_timeout`], five seconds), and go on by themselves when Webdis and Redis are
/// back. What may happen once only is sent once. If its answer is missing or not proved to be its own,
/// counters, rotations and new sessions are looked up, and what stays unclear is reported as
/// [unknown](crate::ErrorKind::OutcomeUnknown); what Redis gets to only after the timeout does nothing, and until then a put of unknown outcome may still
/// overwrite a newer one. So after Redis has forgotten its scripts, the first commit or
/// new session that comes before any load may be refused; loads notice and mend it.
#[derive(Clone)]
pub struct WebdisStore {
    pub(super) channels: Arc<Channels>,
    pub(super) prefix: Prefix,
    pub(super) clock: Option<AnyClock>,
    /// The clock of Redis.
    pub(super) server: Arc<ServerClock>,
}

/// What the script is to do.
#[derive(Clone, Copy)]
enum Verb {
    Load,
    Create,
    Commit,
    Destroy,
}

/// Why a call brought nothing.
enum Failure {
    /// It did not happen.
    Refused(Error),
    /// It may have happened.
    Unknown(Reason),
}

impl WebdisStore {
    /// Connects to Webdis at a URL such as `http://user:password@webdis.internal:7379`.
    ///
    /// # Errors
    ///
    /// See [`WebdisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<Box<str>>) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Connects with options.
    pub fn builder(url: impl Into<Box<str>>) -> WebdisStoreBuilder {
        WebdisStoreBuilder::new(url)
    }

    /// How many connections are kept out of use because the reply to their last call is still to
    /// come, or another client's came in its place. At 64 nothing more is sent until some are free.
    #[must_use]
    pub fn poisoned_connections(&self) -> usize {
        self.channels.poisoned_now()
    }

    /// How many connections ever were in that state, for a metric: a Webdis that mixes up replies
    /// makes it grow.
    #[must_use]
    pub fn poisoned_connections_total(&self) -> u64 {
        self.channels.poisoned_total()
    }

    /// Whether Webdis and Redis let us do all that the store will do, on a record that nobody gets to
    /// see.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        let id = RecordId::from_bytes(random::bytes()?);
        let time = self.time();
        self.read(id, |words| hash::load(&[], words)).await.map_err(Failure::into_opening)?;
        let (new, commit) = (hash::probe_record(), hash::probe_commit());
        let created = self.call(Verb::Create, id, |words| hash::create(&new, time, words), false).await;
        let changed = match &created {
            Ok(_) => self.call(Verb::Commit, id, |words| hash::commit(0, &commit, time, words), false).await,
            Err(_) => Ok(Vec::new()),
        };
        // Whatever became of it, nothing stays.
        let destroyed = self.delete(id).await;
        created.and(changed).and(destroyed).map_err(Failure::into_opening)?;
        Ok(())
    }

    async fn delete(&self, id: RecordId) -> Result<Vec<Item>, Failure> {
        let arguments = |words: &mut Vec<_>| hash::head(0, &Timeouts::default(), false, self.time(), words);
        self.repeatable(Verb::Destroy, id, arguments).await
    }

    /// Runs the script; with its text where `with_text`, which makes Redis know it from then on.
    async fn call(
        &self,
        verb: Verb,
        id: RecordId,
        arguments: impl FnOnce(&mut Vec<Box<[u8]>>),
        with_text: bool,
    ) -> Result<Vec<Item>, Failure> {
        let script = &scripts().webdis;
        let nonce = Nonce::new().map_err(Failure::Refused)?;
        let key = self.prefix.key(id);
        let mut rest = Vec::new();
        arguments(&mut rest);
        let (command, script) =
            if with_text { ("EVAL", script.text.as_bytes()) } else { ("EVALSHA", script.sha.as_bytes()) };
        let mut words =
            vec![command.as_bytes(), script, b"1", key.as_bytes(), nonce.as_bytes(), verb.name().as_bytes()];
        words.extend(rest.iter().map(|argument| &**argument));
        match self.channels.call(&words, &nonce).await {
            Ok(answer) => match items::read(answer) {
                Ok(Answered::Items(items)) => Ok(items),
                Ok(Answered::Error(code)) => Err(Failure::of(code)),
                Err(malformed) => Err(Failure::Refused(Error::unavailable(malformed))),
            },
            Err(CallFailure::NotSent(error)) => Err(Failure::Refused(error)),
            Err(CallFailure::Unproven { reason }) => Err(Failure::Unknown(reason)),
        }
    }

    /// The same for what may happen twice.
    async fn repeatable(
        &self,
        verb: Verb,
        id: RecordId,
        arguments: impl Fn(&mut Vec<Box<[u8]>>),
    ) -> Result<Vec<Item>, Failure> {
        let mut with_text = false;
        for _ in 1..ATTEMPTS {
            match self.call(verb, id, &arguments, with_text).await {
                Err(Failure::Unknown(Reason::Redis(code))) if code.as_str() == "NOSCRIPT" => with_text = true,
                Err(Failure::Unknown(Reason::Cut | Reason::Foreign)) => {}
                ended => return ended,
            }
        }
        self.call(verb, id, &arguments, with_text).await
    }

    /// The time and the fields behind `arguments`.
    async fn read(
        &self,
        id: RecordId,
        arguments: impl Fn(&mut Vec<Box<[u8]>>),
    ) -> Result<(Timestamp, Vec<Item>), Failure> {
        let arguments = |words: &mut Vec<_>| {
            hash::head(0, &Timeouts::default(), false, self.time(), words);
            arguments(words);
        };
        let mut items = self.repeatable(Verb::Load, id, arguments).await?.into_iter();
        let Some(Ok(CreateOutcome::Created(now))) = items.next().as_ref().map(hash::created) else {
            return Err(Failure::Refused(Error::unavailable(Malformed)));
        };
        self.server.set(now);
        Ok((now, items.collect()))
    }

    /// What a script goes by that may come at any time.
    fn time(&self) -> Time {
        Time::new(self.clock.as_ref(), || None)
    }

    /// What a script goes by that must not come after this moment.
    async fn time_until(&self, id: RecordId, moment: Instant) -> Result<Time, Error> {
        if self.clock.is_none() && self.server.at(moment).is_none() {
            Box::pin(self.read(id, hash::look)).await.map_err(Failure::into_read)?;
        }
        Ok(Time::new(self.clock.as_ref(), || self.server.at(moment)))
    }
}

impl Store for WebdisStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let read = self.read(id, |words| hash::load(names, words)).await;
        let (now, items) = read.map_err(Failure::into_read)?;
        hash::loaded(names, now, items).map_err(Error::unreadable)
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let arguments = |words: &mut Vec<_>| hash::create(&new, self.time(), words);
        match self.call(Verb::Create, id, arguments, false).await {
            Ok(items) => {
                items.first().ok_or(Malformed).and_then(hash::created).map_err(Error::outcome_unknown)
            }
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Unknown(reason)) => {
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
        let until = Instant::now() + self.channels.timeout();
        for _ in 0..ATTEMPTS {
            if Instant::now() >= until {
                break;
            }
            let time = self.time_until(id, until).await?;
            let arguments = |words: &mut Vec<_>| hash::commit(epoch, &commit, time, words);
            match self.call(Verb::Commit, id, arguments, false).await {
                Ok(items) => {
                    if let Some(answer) = hash::answer(&commit, items).map_err(Error::outcome_unknown)? {
                        return Ok(answer);
                    }
                    // Too late, and yet we are here: the clock of Redis was set since it was read.
                    Box::pin(self.read(id, hash::look)).await.map_err(Failure::into_read)?;
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Unknown(reason)) => {
                    if self.look_for_commit(id, &commit, &reason).await {
                        return Ok(CommitOutcome::Applied(Vec::new()));
                    }
                    return Err(Error::outcome_unknown(reason));
                }
            }
        }
        Err(Error::unavailable("the commit did not reach Redis in time"))
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        match self.delete(id).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Unknown(reason)) => Err(Error::outcome_unknown(reason)),
        }
    }

    /// Nothing to do: keys end by themselves.
    async fn purge(&self, _timeouts: Timeouts, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn expires_by_itself(&self) -> bool {
        true
    }
}

/// Looking after an unknown outcome. As in `RedisStore`, nothing that must happen once is sent again,
/// not even after `NOSCRIPT`: that may have been the reply to somebody else.
impl WebdisStore {
    /// Whether the record remembers a commit whose outcome is unknown.
    async fn look_for_commit(&self, id: RecordId, commit: &Commit, reason: &Reason) -> bool {
        // After a timeout there is no time left, and values after the commit would be those of now.
        let is_unknown_script = matches!(reason, Reason::Redis(code) if code.as_str() == "NOSCRIPT");
        let can_tell = commit.id.is_some() && commit.returning.is_empty();
        if *reason == Reason::TimedOut || !(can_tell || is_unknown_script) {
            return false;
        }
        // Where Redis has forgotten the script, this makes it known again, so that the next one succeeds.
        let seen = self.read(id, hash::look).await;
        can_tell && seen.is_ok_and(|(_, items)| hash::remembers(commit, items))
    }

    /// When the record with this credentials was created, if it was.
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

impl Verb {
    /// As the script calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Create => "create",
            Self::Commit => "commit",
            Self::Destroy => "destroy",
        }
    }
}

impl Failure {
    /// Of a proved error of Redis. A command that the user may not run is found out when its turn
    /// comes, perhaps after a write; anything else is found out before the first one.
    fn of(code: Code) -> Self {
        match code.as_str() {
            "ERR" | "NOPERM" => Self::Unknown(Reason::Redis(code)),
            "WRONGTYPE" => Self::Refused(Error::unreadable(Malformed)),
            _ => Self::Refused(Error::unavailable(Reason::Redis(code))),
        }
    }

    /// Of something that only reads, so that nothing happened either way.
    fn into_read(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Unknown(reason) => Error::unavailable(reason),
        }
    }

    /// Of the first things that a store asks for.
    fn into_opening(self) -> Error {
        let reason = match self {
            Self::Refused(error) => return opening(error),
            Self::Unknown(reason) => reason,
        };
        let (is_ours, what_to_do) = match &reason {
            Reason::Status(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => (
                true,
                "Webdis refuses the session store; check its user and password, and that Webdis' ACL lets \
                 them run EVAL and EVALSHA",
            ),
            Reason::Redis(code) if matches!(code.as_str(), "NOAUTH" | "WRONGPASS") => {
                (true, "Webdis is not logged in to Redis; check `redis_auth` in Webdis' configuration")
            }
            Reason::Redis(code) if matches!(code.as_str(), "ERR" | "NOPERM") => (
                true,
                "the Redis user of Webdis lacks a permission; give it those of `WebdisStore`'s documentation",
            ),
            Reason::Status(StatusCode::SERVICE_UNAVAILABLE) => {
                (false, "Webdis is there, but cannot reach Redis")
            }
            Reason::Redis(code) => {
                let message = not_serving(*code);
                return Error::unavailable(reason).with_message(message);
            }
            Reason::Tls(refusal) => return Error::config(no_tls(refusal)).with_source(reason),
            Reason::Foreign | Reason::Status(_) => {
                (false, "what the session store has reached does not answer like Webdis; check the URL")
            }
            _ => (false, UNREACHABLE),
        };
        if is_ours {
            Error::config(what_to_do).with_source(reason)
        } else {
            Error::unavailable(reason).with_message(what_to_do)
        }
    }
}

/// Of the first thing that a store asks for, which certainly did not happen.
fn opening(error: Error) -> Error {
    let source = StdError::source(&error);
    #[cfg(feature = "webdis-tls")]
    if let Some(refusal) = source.and_then(|source| source.downcast_ref::<NotSent>()?.tls_refusal()) {
        return Error::config(no_tls(&refusal)).with_source(error);
    }
    if let Some(Reason::Redis(code)) = source.and_then(|source| source.downcast_ref()) {
        let message =
            format!("Webdis is there, but Redis does not serve the session store now: {}", code.as_str());
        return error.with_message(message);
    }
    error.with_message(UNREACHABLE)
}

fn not_serving(code: Code) -> String {
    format!("Webdis is there, but Redis does not serve the session store now: {}", code.as_str())
}

fn no_tls(refusal: &str) -> String {
    format!(
        "TLS between the session store and Webdis fails: {refusal}; check the port, `with_root_certificates`, \
         `with_tls_name` and `with_client_certificate`"
    )
}

const UNREACHABLE: &str = "the session store cannot reach Webdis; check host, port and TLS";

impl fmt::Debug for WebdisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebdisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
