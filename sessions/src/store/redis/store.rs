//! The operations of a store, as requests to Redis.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use redis::Value;
use tokio::time::Instant;

#[cfg(feature = "tracing")]
use super::eviction;
use super::{
    client::RedisClient,
    error_class::{timed_out, unexpected},
    failure::{RequestFailure, refused},
};
use crate::{
    clock::AnyClock,
    error::Error,
    random,
    store::{
        Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store,
        hash::{self, Prefix, ReplyItem, ScriptTime, scripts},
    },
    value::{Credentials, FieldName, RecordId, Timeouts, Timestamp},
};

/// The number of times that a commit is sent if it seems late each time.
const ATTEMPTS: usize = 3;

/// The command that reads some fields.
const METADATA_AND_FIELDS: &str = "HMGET";

/// The command that reads the whole hash.
const ALL_FIELDS: &str = "HGETALL";

/// The least number of further pieces of a record's metadata that are asked for once there are more than usual.
const PIECES_AT_ONCE: usize = 8;

/// A store in Redis 7.0 or newer, or in Valkey: one server, the primary that Sentinels name, or a cluster. The tests
/// run on Redis 7.0.15 and 8.2.3 and on Valkey 9.1.2.
///
/// ```no_run
/// use sessions::{SessionLayer, store::RedisStore};
///
/// # async fn open() -> Result<(), sessions::Error> {
/// let store = RedisStore::connect("redis://localhost:6379").await?;
/// let layer = SessionLayer::new(store);
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
///
/// ```no_run
/// # use sessions::store::RedisStore;
/// # async fn open() -> Result<(), sessions::Error> {
/// let cluster = RedisStore::cluster(["redis://one:6379", "redis://two:6379"]).await?;
/// let behind_sentinels =
///     RedisStore::sentinel(["redis://a:26379", "redis://b:26379", "redis://c:26379"], "mymaster").await?;
/// # let _ = (cluster, behind_sentinels);
/// # Ok(())
/// # }
/// ```
///
/// A clone is the same store. All requests share its connections and pipeline on them. A load is one round trip that
/// names the fields of the view. A view with a collection reads the whole hash (`HGETALL`) in one round trip, the fields
/// of other views included. A commit is one script that writes the changed fields.
///
/// # Layout
///
/// A session is one hash, which is its only key. The fields of the hash are the fields of the session, as JSON, and the
/// metadata:
///
/// - `@` holds the epoch (4 bytes), the times of creation and last use (6 bytes each, milliseconds since 1970), and the
///   first 40 bytes of the credentials.
/// - `@1`, `@2` and so on hold the rest of the credentials, 56 bytes each.
/// - `@c` holds the ids of the last 8 commits that count or rotate.
///
/// A field of yours whose name begins with `@` has one `@` more. An entry of a collection is a field named `cart[42]`. The TTL of the key is the session's deadline.
///
/// ```text
/// $ redis-cli --scan --pattern 'sess:*'
/// "sess:AlfVkb6rftoXdTjwJvLOVQ"
/// $ redis-cli HGETALL sess:AlfVkb6rftoXdTjwJvLOVQ
/// 1) "@"
/// 2) "\x00\x00\x00\x00\x01\xa2\x01>\x19\xc7\x01\xa2\x01>\x19\xc7\xa0\b\x856#`…"
/// 3) "page_count"
/// 4) "5"
/// 5) "@c"
/// 6) "]\xde\xa7\xfa\x1bA\"g\x93\x96\x9do…"
/// $ redis-cli HGET sess:AlfVkb6rftoXdTjwJvLOVQ page_count
/// "5"
/// $ redis-cli DEL sess:AlfVkb6rftoXdTjwJvLOVQ
/// (integer) 1
/// ```
///
/// The last command ends the session. Other programs may read and write the fields. They must not create the hash.
///
/// # Permissions
///
/// The store needs the permissions of this user, and tries them when it is opened (one line):
///
/// ```text
/// ACL SETUSER sessions on >password resetkeys ~sess:* -@all +eval +evalsha +time +hget +hmget +hgetall +hkeys +exists +hset +hdel +pexpire +del
/// ```
///
/// Add `+select` for another database than 0, `+cluster|slots +asking` for a cluster, and `+role` behind Sentinels.
/// Create the user on every node. On the Sentinels themselves the store needs `+role +sentinel|masters`.
///
/// # TLS
///
/// `rediss://` needs the feature `redis-tls`. The store speaks TLS 1.3 or 1.2 by rustls and ring, whatever cryptography
/// the rest of the program uses. It always checks certificates:
///
/// - against the authorities that the system trusts, or those of
///   [`with_root_certificates`](crate::store::RedisStoreBuilder::with_root_certificates);
/// - for the host in the URL, or the name of [`with_tls_name`](crate::store::RedisStoreBuilder::with_tls_name).
///
/// If the URLs say TLS, Sentinels, nodes and primaries that are named later are reached over TLS too.
///
/// # Size
///
/// The memory of one session in bytes, with its key, measured on Redis 7.0.15 with field names of 3 characters:
///
/// | | no fields | 5 of 40 bytes | 20 of 32 bytes |
/// |---|---|---|---|
/// | a visitor | 200 | 460 | 1,040 |
/// | logged in | 270 | 520 | 1,170 |
/// | rotated three times | 330 | 590 | 1,160 |
/// | rotated eight times or more | 460 | 780 | 1,420 |
///
/// A value longer than 64 bytes makes Redis keep its session as a table. The last column is 2,480 to 2,790 then.
/// `hash-max-listpack-value` moves the limit. The metadata never exceed it. A name longer than 64 bytes does the same,
/// and so do more than 128 fields (`hash-max-listpack-entries`), of which each entry of a collection is one.
///
/// A key expires when its session has ended. By default that is a day and an hour after the last use, and thirty days
/// if the user asked to be remembered.
///
/// Set `maxmemory-policy noeviction`, and `maxmemory` high enough. A policy that evicts ends sessions early, as if
/// the users had logged out. The store logs a warning about it when it is opened, if its user may ask (`+info`). A
/// full server refuses writes, and the requests are answered with 503.
///
/// # When the server is away
///
/// A request that needs a session waits for a server that restarts, for a failover, or for a slot that moves. It
/// waits for at most [`with_timeout`](crate::store::RedisStoreBuilder::with_timeout), five seconds by default. Then
/// it is answered with 503. Once a server has been away for longer than that, requests are answered with 503 at once.
/// When the server is back, sessions work again. The same holds for a server that refuses all writes while it answers
/// reads: it has too few replicas (`min-replicas-to-write`), or is no primary any more.
///
/// A commit is sent once. If the connection ends before the reply, the store looks for the effect of counters,
/// rotations and new sessions. An outcome that stays unclear is reported as
/// [unknown](crate::ErrorKind::OutcomeUnknown) and never repeated. A commit that the server reads after the store's
/// timeout does nothing. Until then, a put whose connection broke may still happen, and overwrite a newer one.
///
/// A firewall or balancer on the way may forget an idle connection and tell neither end. So the system keeps
/// connections alive (TCP keepalive after 15 seconds). After ten seconds without a reply, the store asks for the time
/// on a connection before it sends anything else. If a reply is missing for a second, the store opens another
/// connection. If that succeeds, it takes the silent one's place, and reads are sent again there. A commit is not
/// sent twice: one that was on its way is reported as unknown. The connections of [`from_pool`](Self::from_pool) have
/// the pool's TCP settings: set `TCP_NODELAY` and keepalive there.
///
/// An acknowledged commit survives as much as the server promises. With `appendonly yes` and `appendfsync always` it
/// survives a crash. With `everysec` the last second may be lost. A failover may lose commits that were not replicated
/// yet, a logout among them. `min-replicas-to-write` makes that window small.
///
/// A script that the server has forgotten (after a restart or `SCRIPT FLUSH`) is sent again by itself. In a cluster the
/// store follows `MOVED` and `ASK`, and finds the new primary after a failover. All loads go to primaries.
#[derive(Clone)]
pub struct RedisStore {
    pub(super) client: Arc<RedisClient>,
    pub(super) prefix: Arc<Prefix>,
    /// A clock for tests, in place of the server's.
    pub(super) clock: Option<AnyClock>,
}

impl RedisStore {
    /// Tries all that the store will do, on a record that no request sees. It takes no longer than any request, and
    /// ends at this moment.
    pub(super) async fn probe(&self, until: Instant) -> Result<(), RequestFailure> {
        let id = RecordId::from_bytes(random::bytes().map_err(|_| unreadable())?);
        let (key, time, deadline) = (self.prefix.key(id), self.time(), self.client.deadline().min(until));
        let _ =
            self.read(id, METADATA_AND_FIELDS, |fields| hash::load_pieces(0, &[], fields), deadline).await?;
        let _ = self.read(id, ALL_FIELDS, |_| {}, deadline).await?;
        let (new, commit) = (hash::probe_record(), hash::probe_commit());
        let create = |command: &mut redis::Cmd| hash::create(&new, time, command);
        let change = |command: &mut redis::Cmd| hash::commit(0, &commit, time, command);
        let created = self.client.script(&scripts().create, &key, create, deadline).await;
        let changed = match &created {
            Ok(_) => self.client.script(&scripts().commit, &key, change, deadline).await,
            Err(_) => Ok(Value::Nil),
        };
        // The record is deleted whether or not the create and the commit succeeded.
        let destroyed = self.delete(&key, deadline).await;
        created.and(changed).and(destroyed).map(|_| ())
    }

    /// Logs a warning about a server that evicts sessions when it is full, if the store's user may ask for that.
    #[cfg(feature = "tracing")]
    pub(super) async fn warn_of_eviction(&self) {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let key = self.prefix.key(RecordId::from_bytes([0; 16]));
        let Ok(reply) = self.client.command(&key, &command, self.client.deadline()).await else { return };
        if redis::from_redis_value::<String>(reply).is_ok_and(|info| eviction::evicts(&info)) {
            tracing::warn!(
                "Redis may evict sessions of the session store when its memory is full, which logs users out; set \
                 `maxmemory-policy noeviction`"
            );
        }
    }

    /// Sends a commit to the script that it needs.
    async fn send(
        &self,
        key: &str,
        epoch: u32,
        commit: &Commit,
        deadline: Instant,
    ) -> Result<Value, RequestFailure> {
        let mut time = self.time_until(key, deadline);
        if matches!(time, ScriptTime::Server { latest: None }) {
            // The server was not asked for the time yet.
            Box::pin(self.read_clock(key, deadline)).await?;
            time = self.time_until(key, deadline);
        }
        if hash::is_puts_only(commit) {
            let arguments = |command: &mut redis::Cmd| hash::puts(epoch, commit, time, command);
            self.client.script(&scripts().puts, key, arguments, deadline).await
        } else {
            let arguments = |command: &mut redis::Cmd| hash::commit(epoch, commit, time, command);
            self.client.script(&scripts().commit, key, arguments, deadline).await
        }
    }

    /// Loads a record with these fields, in one round trip. With a prefix name among them it reads the whole hash. Else
    /// it takes two trips if the metadata have more pieces than those of
    /// any record before, which happens once or twice in the life of a process.
    async fn load_by(
        &self,
        id: RecordId,
        names: &[FieldName],
        deadline: Instant,
    ) -> Result<Option<Loaded>, Error> {
        if hash::asks_for_all(names) {
            let read = self.read(id, ALL_FIELDS, |_| {}, deadline).await;
            let (now, items) = read.map_err(RequestFailure::into_read)?;
            return hash::loaded(names, now, items).map_err(Error::unreadable);
        }
        let mut more = self.client.pieces();
        loop {
            let arguments = |fields: &mut redis::Cmd| hash::load_pieces(more, names, fields);
            let read = self.read(id, METADATA_AND_FIELDS, arguments, deadline).await;
            let (now, mut items) = read.map_err(RequestFailure::into_read)?;
            if let Some(metadata) = hash::joined(more, &mut items) {
                self.client.ask_for_pieces(hash::pieces_of(&metadata));
                let items = std::iter::once(metadata).chain(items);
                return hash::loaded(names, now, items).map_err(Error::unreadable);
            }
            more = (2 * more).max(PIECES_AT_ONCE);
        }
    }

    /// Reads the fields of `arguments` by this command, and the time, in one round trip without a script.
    async fn read(
        &self,
        id: RecordId,
        command: &'static str,
        arguments: impl FnOnce(&mut redis::Cmd),
        deadline: Instant,
    ) -> Result<(Timestamp, Items), RequestFailure> {
        let key = self.prefix.key(id);
        let mut fields = redis::Cmd::with_capacity(16, 256);
        fields.arg(command).arg(&key);
        arguments(&mut fields);
        let manual = self.clock.as_ref().map(AnyClock::now);
        if let Some(now) = manual.or_else(|| self.client.now()) {
            return Ok((now, values(self.client.command(&key, &fields, deadline).await?)?));
        }
        Box::pin(self.read_with_time(&key, fields, deadline)).await
    }

    /// Sends a read together with `TIME`.
    async fn read_with_time(
        &self,
        key: &str,
        fields: redis::Cmd,
        deadline: Instant,
    ) -> Result<(Timestamp, Items), RequestFailure> {
        let (now, reply) = self.client.command_with_time(key, fields, deadline).await?;
        Ok((now, values(reply)?))
    }

    /// Reads the clock of the server that has the key.
    async fn read_clock(&self, key: &str, deadline: Instant) -> Result<(), RequestFailure> {
        if Instant::now() >= deadline {
            return Err(RequestFailure::Refused(timed_out()));
        }
        let mut metadata = redis::Cmd::with_capacity(16, 64);
        metadata.arg(METADATA_AND_FIELDS).arg(key);
        hash::load_pieces(0, &[], &mut metadata);
        match self.client.command_with_time(key, metadata, deadline).await {
            Ok(_) => Ok(()),
            // It only reads, so nothing happened in either case.
            Err(RequestFailure::Refused(error) | RequestFailure::Unknown(error)) => {
                Err(RequestFailure::Refused(error))
            }
        }
    }

    async fn delete(&self, key: &str, deadline: Instant) -> Result<Value, RequestFailure> {
        let mut command = redis::cmd("DEL");
        command.arg(key);
        self.client.write(key, command, deadline).await
    }

    /// Returns the time for a script that may be carried out at any moment.
    fn time(&self) -> ScriptTime {
        ScriptTime::new(self.clock.as_ref(), || None)
    }

    /// Returns the time for a script that must not be carried out after this moment.
    fn time_until(&self, key: &str, moment: Instant) -> ScriptTime {
        ScriptTime::new(self.clock.as_ref(), || self.client.server_time(key, moment))
    }
}

impl Store for RedisStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        self.load_by(id, names, self.client.deadline()).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let deadline = self.client.deadline();
        let (key, time) = (self.prefix.key(id), self.time());
        let arguments = |command: &mut redis::Cmd| hash::create(&new, time, command);
        match self.client.script(&scripts().create, &key, arguments, deadline).await {
            Ok(reply) => hash::created(&item(reply)).map_err(Error::outcome_unknown),
            Err(RequestFailure::Refused(error)) => Err(refused(error)),
            Err(RequestFailure::Unknown(error)) => {
                match self.look_for_record(id, &new.credentials, deadline).await {
                    Some(created) => Ok(CreateOutcome::Created(created)),
                    None => Err(Error::outcome_unknown(error)),
                }
            }
        }
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let deadline = self.client.deadline();
        // No record of this store has an epoch beyond 32 bits.
        let Ok(epoch) = u32::try_from(commit.epoch) else { return Ok(CommitOutcome::StaleEpoch) };
        let key = self.prefix.key(id);
        for _ in 0..ATTEMPTS {
            match self.send(&key, epoch, &commit, deadline).await {
                Ok(reply) => {
                    if let Some(answer) =
                        hash::answer(&commit, items(reply)).map_err(Error::outcome_unknown)?
                    {
                        return Ok(answer);
                    }
                    // The server says that it is too late, but the time is not over. So its clock was set since it
                    // was read.
                    Box::pin(self.read_clock(&key, deadline)).await.map_err(RequestFailure::into_read)?;
                }
                Err(RequestFailure::Refused(error)) => return Err(refused(error)),
                Err(RequestFailure::Unknown(error)) => {
                    if self.look_for_commit(id, &commit, deadline).await {
                        return Ok(CommitOutcome::Applied(Vec::new()));
                    }
                    return Err(Error::outcome_unknown(error));
                }
            }
        }
        Err(Error::unavailable("the commit did not reach Redis in time, so it did nothing; try again"))
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        match self.delete(&self.prefix.key(id), self.client.deadline()).await {
            Ok(_) => Ok(()),
            Err(RequestFailure::Refused(error)) => Err(refused(error)),
            Err(RequestFailure::Unknown(error)) => Err(Error::outcome_unknown(error)),
        }
    }

    /// Does nothing: keys expire by themselves.
    async fn purge(&self, _timeouts: Timeouts, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn expires_by_itself(&self) -> bool {
        true
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.client.timeout())
    }
}

/// The questions after an unknown outcome. The request is never sent again: the first one may still lie in the server's
/// socket and be carried out after any repetition, when the record has forgotten its id.
impl RedisStore {
    /// Returns true if the record remembers a commit whose outcome is unknown.
    async fn look_for_commit(&self, id: RecordId, commit: &Commit, deadline: Instant) -> bool {
        // The values to return would be those of now, and not those after the commit.
        if commit.id.is_none() || !commit.returning.is_empty() {
            return false;
        }
        let seen = self.read(id, METADATA_AND_FIELDS, hash::look, deadline).await;
        seen.is_ok_and(|(_, items)| hash::remembers(commit, items))
    }

    /// Returns the time at which the record with these credentials was created, if it exists.
    async fn look_for_record(
        &self,
        id: RecordId,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Option<Timestamp> {
        let loaded = self.load_by(id, &[], deadline).await.ok()??;
        (loaded.credentials == *credentials).then_some(loaded.created)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The items of a reply to `HMGET`, or the names and values of one to `HGETALL`.
type Items = std::iter::Map<std::vec::IntoIter<Value>, fn(Value) -> ReplyItem>;

/// Reads the reply to `HMGET` or `HGETALL`.
fn values(reply: Value) -> Result<Items, RequestFailure> {
    match reply {
        Value::Array(values) => Ok(values.into_iter().map(item as fn(Value) -> ReplyItem)),
        // Version 3 of the protocol has a type for it.
        Value::Map(pairs) => {
            let values: Vec<_> = pairs.into_iter().flat_map(<[Value; 2]>::from).collect();
            Ok(values.into_iter().map(item as fn(Value) -> ReplyItem))
        }
        _ => Err(unreadable()),
    }
}

/// Reads the reply of a script.
fn items(reply: Value) -> Vec<ReplyItem> {
    match reply {
        Value::Array(values) => values.into_iter().map(item).collect(),
        value => vec![item(value)],
    }
}

fn item(value: Value) -> ReplyItem {
    match value {
        Value::BulkString(bytes) => ReplyItem::Bytes(Bytes::from(bytes)),
        Value::Int(integer) => ReplyItem::Integer(integer),
        _ => ReplyItem::None,
    }
}

fn unreadable() -> RequestFailure {
    RequestFailure::Refused(unexpected())
}
