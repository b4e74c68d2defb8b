//! Sessions in Redis: one server, the primary that Sentinels name, or a cluster.

mod address;
mod builder;
mod client;
mod cluster;
mod dial;
#[cfg(feature = "tracing")]
mod eviction;
mod failure;
mod lanes;
mod sentinel;
mod source;

use std::{fmt, sync::Arc, time::Duration};

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use bytes::Bytes;
use redis::Value;
use tokio::time::Instant;

pub use self::{builder::RedisStoreBuilder, dial::RedisLogin};
use self::{client::Client, failure::Failure};
use super::{
    Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store,
    hash::{self, Item, Prefix, Time, scripts},
};
use crate::{
    clock::AnyClock,
    error::Error,
    random,
    value::{Credentials, FieldName, RecordId, Timeouts, Timestamp},
};

/// How often a commit is sent that seems late each time.
const ATTEMPTS: usize = 3;

/// How many further pieces of a record's metadata are asked for at least where there are more than usual.
const PIECES_AT_ONCE: usize = 8;

/// Sessions in Redis 7.0 or newer, or in Valkey: one server, the primary that Sentinels name, or a cluster. The tests
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
/// A clone is the same store. All requests share its connections, on which they pipeline by
/// themselves. A load is one round trip that names the view's fields only, a commit is one script
/// that writes the changed fields only.
///
/// # Layout
///
/// A session is one hash, and the only key it has. Its fields are the session's, as JSON; `@` holds
/// the metadata: epoch (4 bytes), times of creation and last use (6 bytes each, milliseconds since
/// 1970), and the credentials (SHA-256 of the secret, then what goes with it). What of the credentials is beyond 40 bytes is in `@1`,
/// `@2` and so on, 56 bytes each; `@c` holds the ids of the last 8 commits that count or rotate. A field of
/// yours whose name begins with `@` has one `@` more. The key's TTL is the session's deadline.
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
/// The last one ends the session. Other programs may read and write the fields; they must not create
/// the hash.
///
/// # Permissions
///
/// The store needs what this user may do and tries it when it is opened (one line):
///
/// ```text
/// ACL SETUSER sessions on >password resetkeys ~sess:* -@all +eval +evalsha +time +hget +hmget +hkeys +exists +hset +hdel +pexpire +del
/// ```
///
/// For another database than 0 add `+select`, on a cluster `+cluster|slots +asking`, behind Sentinel
/// `+role`, and create the user on every node. On the Sentinels themselves the store needs `+role
/// +sentinel|masters`.
///
/// # TLS
///
/// `rediss://` with the feature `redis-tls`: TLS 1.3 or 1.2, by rustls and ring, whatever cryptography the rest of the
/// program has. Certificates are always checked, against the authorities that the system trusts or
/// [`with_root_certificate`](RedisStoreBuilder::with_root_certificate), for the host in the URL or
/// [`with_tls_name`](RedisStoreBuilder::with_tls_name). Where one URL says TLS, Sentinels, nodes and primaries that
/// are named later get nothing in plain text.
///
/// # Size
///
/// Bytes in all for one session, with its key and what belongs to that, measured on Redis 7.0.15 with field names of
/// 3 characters:
///
/// | | no fields | 5 of 40 bytes | 20 of 32 bytes |
/// |---|---|---|---|
/// | a visitor | 200 | 460 | 1,040 |
/// | logged in | 270 | 520 | 1,170 |
/// | rotated three times | 330 | 590 | 1,160 |
/// | rotated eight times or more | 460 | 780 | 1,420 |
///
/// A value longer than 64 bytes makes Redis keep its session as a table: the last column is 2,480 to 2,790 then
/// (`hash-max-listpack-value` moves the limit). The metadata never do that: no piece of them is longer. A key goes when
/// its session has ended: by default a day and an hour after its last use, and thirty days where its user asked to be
/// remembered.
///
/// Set `maxmemory-policy noeviction`, and room enough: a policy that evicts ends sessions early, as if their
/// users had logged out. The store warns of it when it is opened, if its user may ask (`+info`). A full
/// server refuses writes, which are answered with 503.
///
/// # When the server is away
///
/// A request that needs a session waits for a server that restarts, for a failover or for a slot that
/// moves, until its time is over ([`RedisStoreBuilder::with_timeout`], five seconds); then it is answered with
/// 503. Once a server has been away for longer than that, 503 comes at once, and everything goes on by
/// itself when it is back. The same holds for writes to a server that refuses all of them while it answers reads: it
/// has too few replicas (`min-replicas-to-write`) or is no primary any more. A commit is sent once. If the connection ends before its answer, counters,
/// rotations and new sessions are looked up, and what stays unclear is reported as
/// [unknown](crate::ErrorKind::OutcomeUnknown) and never repeated. What the server gets to only after the store's
/// timeout does nothing. Until then, a put whose connection broke may still happen, and overwrite a newer one.
///
/// A firewall or balancer on the way may forget an idle connection and tell neither end. So connections are kept alive
/// (TCP keepalive after 15 seconds), and one on which nothing was heard for ten seconds is asked for the time before
/// anything else is sent on it. Where an answer is missing for a second, another connection is opened meanwhile; if
/// that one works, it takes the silent one's place and reads move there. A commit is not sent twice, so one that was on
/// its way there is reported as unknown. The connections of [`from_pool`](Self::from_pool) have the pool's own TCP
/// settings: set `TCP_NODELAY` and keepalive there.
///
/// What an answered commit survives is what the server promises: with `appendonly yes` and `appendfsync
/// always` everything, with `everysec` all but the last second. A failover may lose what was not replicated
/// yet, a logout among it; `min-replicas-to-write` makes that window small.
///
/// A script that the server has forgotten (a restart, `SCRIPT FLUSH`) is sent again by itself. In a cluster
/// `MOVED` and `ASK` are followed, and after a failover the new primary is found. All loads go to primaries.
#[derive(Clone)]
pub struct RedisStore {
    client: Arc<Client>,
    prefix: Arc<Prefix>,
    clock: Option<AnyClock>,
}

impl RedisStore {
    /// Connects to one server: `redis://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Connects to one server with options.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::url(url)
    }

    /// Connects to a Redis Cluster, of which these nodes are asked for the others.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Result<Self, Error> {
        RedisStoreBuilder::cluster(urls).connect().await
    }

    /// Connects to the primary that Sentinels at these URLs name under this service name, and to the
    /// next one after a failover.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn sentinel<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        service: impl Into<String>,
    ) -> Result<Self, Error> {
        RedisStoreBuilder::sentinel(urls, service).connect().await
    }

    /// Connects as a pool does. The connections are the store's own, since all requests share them:
    /// who borrows one from the pool may be in a `MULTI` or wait in a `BLPOP`. TLS is the pool's matter, too: the feature
    /// of your `redis` dependency, and the process's default cryptography.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn from_pool(pool: Pool<RedisConnectionManager>) -> Result<Self, Error> {
        RedisStoreBuilder::pool(pool).connect().await
    }

    /// Whether the server lets us do all that the store will do, on a record that nobody gets to see. Takes no longer
    /// than any request, and ends at this moment.
    async fn probe(&self, until: Instant) -> Result<(), Failure> {
        let id = RecordId::from_bytes(random::bytes().map_err(|_| unreadable())?);
        let (key, time, deadline) = (self.prefix.key(id), self.time(), self.client.deadline().min(until));
        let _ = self.read(id, |fields| hash::load(&[], fields), deadline).await?;
        let (new, commit) = (hash::probe_record(), hash::probe_commit());
        let create = |command: &mut redis::Cmd| hash::create(&new, time, command);
        let change = |command: &mut redis::Cmd| hash::commit(0, &commit, time, command);
        let created = self.client.script(&scripts().create, &key, create, deadline).await;
        let changed = match &created {
            Ok(_) => self.client.script(&scripts().commit, &key, change, deadline).await,
            Err(_) => Ok(Value::Nil),
        };
        // Whatever became of it, nothing stays.
        let destroyed = self.delete(&key, deadline).await;
        created.and(changed).and(destroyed).map(|_| ())
    }

    /// Warns of a server that throws sessions away when it is full, if we may ask for that.
    #[cfg(feature = "tracing")]
    async fn warn_of_eviction(&self) {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let key = self.prefix.key(RecordId::from_bytes([0; 16]));
        let Ok(reply) = self.client.command(&key, &command, self.client.deadline()).await else { return };
        if redis::from_redis_value::<String>(reply).is_ok_and(|info| eviction::evicts(&info)) {
            tracing::warn!(
                "Redis may evict sessions when its memory is full; set `maxmemory-policy noeviction`"
            );
        }
    }

    /// Sends a commit, by the script that it needs.
    async fn send(
        &self,
        key: &str,
        epoch: u32,
        commit: &Commit,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let mut time = self.time_until(key, deadline);
        if matches!(time, Time::Server { latest: None }) {
            // A server that was not asked for anything yet.
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

    /// The record with these fields, in one round trip; in two where its metadata come in more pieces than those
    /// of any record before, which happens once or twice in the life of a process.
    async fn load_by(
        &self,
        id: RecordId,
        names: &[FieldName],
        deadline: Instant,
    ) -> Result<Option<Loaded>, Error> {
        let mut more = self.client.pieces();
        loop {
            let read = self.read(id, |fields| hash::load_pieces(more, names, fields), deadline).await;
            let (now, mut items) = read.map_err(Failure::into_read)?;
            if let Some(metadata) = hash::joined(more, &mut items) {
                self.client.ask_for_pieces(hash::pieces_of(&metadata));
                let items = std::iter::once(metadata).chain(items);
                return hash::loaded(names, now, items).map_err(Error::unreadable);
            }
            more = (2 * more).max(PIECES_AT_ONCE);
        }
    }

    /// The fields behind `arguments` and the time, in one round trip and without a script: any
    /// script costs the server more than many fields.
    async fn read(
        &self,
        id: RecordId,
        arguments: impl FnOnce(&mut redis::Cmd),
        deadline: Instant,
    ) -> Result<(Timestamp, Items), Failure> {
        let key = self.prefix.key(id);
        let mut fields = redis::Cmd::with_capacity(16, 256);
        fields.arg("HMGET").arg(&key);
        arguments(&mut fields);
        let manual = self.clock.as_ref().map(AnyClock::now);
        if let Some(now) = manual.or_else(|| self.client.now()) {
            return Ok((now, values(self.client.command(&key, &fields, deadline).await?)?));
        }
        Box::pin(self.read_with_time(&key, fields, deadline)).await
    }

    async fn read_with_time(
        &self,
        key: &str,
        fields: redis::Cmd,
        deadline: Instant,
    ) -> Result<(Timestamp, Items), Failure> {
        let (now, reply) = self.client.command_with_time(key, fields, deadline).await?;
        Ok((now, values(reply)?))
    }

    /// Has the server that has the key tell its time.
    async fn read_clock(&self, key: &str, deadline: Instant) -> Result<(), Failure> {
        if Instant::now() >= deadline {
            return Err(Failure::Refused(client::timed_out()));
        }
        let mut metadata = redis::Cmd::with_capacity(16, 64);
        metadata.arg("HMGET").arg(key);
        hash::load(&[], &mut metadata);
        match self.client.command_with_time(key, metadata, deadline).await {
            Ok(_) => Ok(()),
            // Whatever became of it, it only reads.
            Err(Failure::Refused(error) | Failure::Unknown(error)) => Err(Failure::Refused(error)),
        }
    }

    async fn delete(&self, key: &str, deadline: Instant) -> Result<Value, Failure> {
        let mut command = redis::cmd("DEL");
        command.arg(key);
        self.client.write(key, command, deadline).await
    }

    /// What a script goes by that may come at any time.
    fn time(&self) -> Time {
        Time::new(self.clock.as_ref(), || None)
    }

    /// What a script goes by that must not come after this moment.
    fn time_until(&self, key: &str, moment: Instant) -> Time {
        Time::new(self.clock.as_ref(), || self.client.server_time(key, moment))
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
            Err(Failure::Refused(error)) => Err(failure::refused(error)),
            Err(Failure::Unknown(error)) => {
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
                    // Too late, and yet we are here: the server's clock was set since it was read.
                    Box::pin(self.read_clock(&key, deadline)).await.map_err(Failure::into_read)?;
                }
                Err(Failure::Refused(error)) => return Err(failure::refused(error)),
                Err(Failure::Unknown(error)) => {
                    if self.look_for_commit(id, &commit, deadline).await {
                        return Ok(CommitOutcome::Applied(Vec::new()));
                    }
                    return Err(Error::outcome_unknown(error));
                }
            }
        }
        Err(Error::unavailable("the commit did not reach Redis in time"))
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        match self.delete(&self.prefix.key(id), self.client.deadline()).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(error)) => Err(failure::refused(error)),
            Err(Failure::Unknown(error)) => Err(Error::outcome_unknown(error)),
        }
    }

    /// Nothing to do: keys end by themselves.
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

/// Looking after an unknown outcome. A request is never sent again: the first one may still lie in
/// the server's socket, be carried out after any repetition, and by then nobody remembers its id.
impl RedisStore {
    /// Whether the record remembers a commit whose outcome is unknown.
    async fn look_for_commit(&self, id: RecordId, commit: &Commit, deadline: Instant) -> bool {
        // Values after the commit would be those of now.
        if commit.id.is_none() || !commit.returning.is_empty() {
            return false;
        }
        let seen = self.read(id, hash::look, deadline).await;
        seen.is_ok_and(|(_, items)| hash::remembers(commit, items))
    }

    /// When the record with this credentials was created, if it was.
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

/// The items of a reply.
type Items = std::iter::Map<std::vec::IntoIter<Value>, fn(Value) -> Item>;

/// Of the reply to `HMGET`.
fn values(reply: Value) -> Result<Items, Failure> {
    match reply {
        Value::Array(values) => Ok(values.into_iter().map(item as fn(Value) -> Item)),
        _ => Err(unreadable()),
    }
}

fn items(reply: Value) -> Vec<Item> {
    match reply {
        Value::Array(values) => values.into_iter().map(item).collect(),
        value => vec![item(value)],
    }
}

fn item(value: Value) -> Item {
    match value {
        Value::BulkString(bytes) => Item::Bytes(Bytes::from(bytes)),
        Value::Int(integer) => Item::Integer(integer),
        _ => Item::None,
    }
}

fn unreadable() -> Failure {
    Failure::Refused(client::unexpected())
}
