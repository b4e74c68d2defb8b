//! The traffic of each operation of the whole stack, compared with the table in `tests/wire.md`.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use sessions::{
    Clock, Session, SessionLayer, SessionWriter, SystemClock, Timestamp, TypedSession,
    store::{RedisStore, Store, WebdisStore},
    testing::{Client, ManualClock},
};
use tests::{
    proxy::{Protocol, Proxy, Traffic},
    servers::{RedisServer, WebdisServer, until},
};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wire.md");

const HEAD: &str = "\
# What a request costs on the wire

A session of 20 fields with names of 3 characters; each value is 32 bytes of JSON text, the quotes included.
The whole stack, from a browser's request to the server and back, over connections that are already there;
the server knows the scripts. Bytes are those inside of TCP. Once a second at most a load asks Redis for its
time too, which has one to six digits of microseconds: the row with `TIME` tells the most. Webdis is told
random bytes as one or three characters each, so bytes out vary there by some per cent with ids and hashes; one
script does everything, and its verb is in parentheses. A collection of 100 entries is in the same session where a row says
so: keys of 3 digits, values of 32 bytes. A view with it reads the session whole, and another view pays nothing for it.
Beyond 128 fields Redis keeps a session as a table, in about twice the memory. Tested by `tests/redis/wire.rs`, which writes this file
anew when run as
`WIRE=write cargo test -p tests --features redis --test redis wire`.

| store | operation | commands | round trips | bytes out | bytes in | sum |
|---|---|---|---|---|---|---|
";

/// The store whose rows vary, see above.
const WEBDIS: &str = "Webdis";

/// The number of bytes by which the microseconds of one reply can be shorter.
const SLACK: usize = 5;

/// The operation that is measured when it asks for the time. The others are measured when they do not.
const WITH_TIME: &str = "read of 1 field, with the server's time";

/// The number of times that each operation is measured.
const TIMES: usize = 8;

/// The session of the browser before an operation.
#[derive(Clone, Copy)]
enum SessionBefore {
    Nothing,
    /// A session whose cookie was not sent back yet.
    Visitor,
    Session,
    /// A session whose field is 34 bytes long.
    LongValue,
    /// A session last used before the present touch window.
    OldSession,
    /// A session with a collection beside its other fields.
    WithCollection,
}

/// The operations: the name, the session before, and the route.
const OPERATIONS: [(&str, SessionBefore, &str); 19] = [
    ("session not used by the handler", SessionBefore::Session, "/untouched"),
    ("no cookie, nothing written", SessionBefore::Nothing, "/one"),
    ("read of 1 field", SessionBefore::Session, "/one"),
    ("read of 1 field, with the server's time", SessionBefore::Session, "/one"),
    ("read of all 20 fields", SessionBefore::Session, "/all"),
    ("read of 1 field, use noted (touch)", SessionBefore::OldSession, "/one"),
    ("read of 1 field, for the first time after its creation", SessionBefore::Visitor, "/one"),
    ("write of 1 field", SessionBefore::Session, "/write"),
    ("write of 1 field of 34 bytes (32 characters and quotes)", SessionBefore::LongValue, "/write-34"),
    ("add to a counter", SessionBefore::Session, "/add"),
    ("write of 1 field by a writer", SessionBefore::Session, "/blind"),
    ("add to a counter by a writer", SessionBefore::Session, "/blind-add"),
    ("rotation", SessionBefore::Session, "/rotate"),
    ("logout", SessionBefore::Session, "/destroy"),
    ("new session with all 20 fields", SessionBefore::Nothing, "/create"),
    ("read of a collection of 100 entries", SessionBefore::WithCollection, "/entries"),
    ("write of 1 entry of 100", SessionBefore::WithCollection, "/write-entry"),
    ("read of 1 field beside a collection", SessionBefore::WithCollection, "/one"),
    ("write of 1 field beside a collection", SessionBefore::WithCollection, "/write"),
];

/// Thirty characters: thirty-two bytes of JSON.
const VALUE: &str = "123456789012345678901234567890";
const OTHER: &str = "abcdefghijabcdefghijabcdefghij";

macro_rules! twenty {
    ($($field:ident $set:ident)*) => {
        #[derive(Session)]
        struct All {
            $($field: String,)*
        }

        async fn create(mut session: TypedSession<All>) {
            $(session.$set(VALUE);)*
        }

        async fn all(session: TypedSession<All>) -> String {
            [$(session.$field()),*].join(",")
        }
    };
}

twenty! {
    f01 set_f01 f02 set_f02 f03 set_f03 f04 set_f04 f05 set_f05 f06 set_f06 f07 set_f07
    f08 set_f08 f09 set_f09 f10 set_f10 f11 set_f11 f12 set_f12 f13 set_f13 f14 set_f14
    f15 set_f15 f16 set_f16 f17 set_f17 f18 set_f18 f19 set_f19 f20 set_f20
}

#[derive(Session)]
#[session(writer)]
struct One {
    f07: String,
}

#[derive(Session)]
#[session(writer)]
struct WireCounter {
    #[session(merge = "add")]
    sum: u32,
}

#[derive(Session)]
struct WireCollection {
    #[session(merge = "entries")]
    cart: BTreeMap<u32, String>,
}

async fn fill(mut session: TypedSession<WireCollection>) {
    session.set_cart((100..200).map(|key| (key, VALUE.to_owned())).collect());
}

async fn write_entry(mut session: TypedSession<WireCollection>) {
    session.cart_mut().insert(142, OTHER.to_owned());
}

async fn entries(session: TypedSession<WireCollection>) -> String {
    format!("{} {:?}", session.cart().len(), session.cart().get(&142))
}

fn app(store: impl Store) -> Client {
    let router = Router::new()
        .route("/fill", get(fill))
        .route("/write-entry", get(write_entry))
        .route("/entries", get(entries))
        .route("/untouched", get(async || ""))
        .route("/create", get(create))
        .route("/all", get(all))
        .route("/one", get(async |session: TypedSession<One>| session.f07().to_owned()))
        .route("/write", get(async |mut session: TypedSession<One>| session.set_f07(OTHER)))
        .route(
            "/lengthen",
            get(async |mut session: TypedSession<One>| session.set_f07([VALUE, "kl"].concat())),
        )
        .route(
            "/write-34",
            get(async |mut session: TypedSession<One>| session.set_f07([OTHER, "kl"].concat())),
        )
        .route("/add", get(async |mut session: TypedSession<WireCounter>| session.add_sum(1)))
        .route("/blind", get(async |mut session: SessionWriter<One>| session.set_f07(OTHER)))
        .route("/blind-add", get(async |mut session: SessionWriter<WireCounter>| session.add_sum(1)))
        .route("/sum", get(async |session: TypedSession<WireCounter>| session.sum().to_string()))
        .route("/rotate", get(async |session: TypedSession<One>| session.rotate()))
        .route("/destroy", get(async |session: TypedSession<One>| session.destroy()));
    Client::new(router.layer(SessionLayer::new(store)))
}

/// An application whose traffic is measured.
struct Measured {
    store: &'static str,
    proxy: Proxy,
    app: Client,
    /// The application on another instance, whose clock is two hours behind.
    old: Client,
    redis: RedisServer,
    /// The server, which runs for as long as this.
    _webdis: Option<WebdisServer>,
}

impl Measured {
    async fn redis() -> Self {
        let redis = RedisServer::start();
        let proxy = Proxy::start(redis.port(), Protocol::REDIS);
        let behind = RedisStore::builder(redis.url()).with_clock(behind());
        let old = app(behind.connect().await.expect("a server that answers"));
        let url = format!("redis://127.0.0.1:{}", proxy.port());
        let app = app(RedisStore::connect(url).await.expect("a server that answers"));
        Self { store: "Redis", proxy, app, old, redis, _webdis: None }.warm().await
    }

    async fn webdis() -> Self {
        let redis = RedisServer::start();
        let webdis = WebdisServer::start(&redis);
        let proxy = Proxy::start(webdis.port(), Protocol::WEBDIS);
        let behind = WebdisStore::builder(webdis.url()).with_clock(behind());
        let old = app(behind.connect().await.expect("a server that answers"));
        let url = format!("http://127.0.0.1:{}", proxy.port());
        let app = app(WebdisStore::connect(url).await.expect("a server that answers"));
        Self { store: WEBDIS, proxy, app, old, redis, _webdis: Some(webdis) }.warm().await
    }

    /// Opens every connection, and makes every script known.
    async fn warm(self) -> Self {
        for _ in 0..2 {
            for (_, before, path) in OPERATIONS {
                self.measure(before, path).await;
            }
        }
        self
    }

    /// Returns the traffic of one operation with the question for the server's time, or without it. A load asks once a
    /// second.
    async fn once(&self, before: SessionBefore, path: &str, with_time: bool) -> Traffic {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let traffic = self.measure(before, path).await;
            if traffic.requests.iter().any(|request| request == "TIME") == with_time {
                return traffic;
            }
            assert!(Instant::now() < end, "{path}: the time is asked for always, or never");
        }
    }

    async fn measure(&self, before: SessionBefore, path: &str) -> Traffic {
        let browser = self.app.stranger();
        match before {
            SessionBefore::Nothing => {}
            SessionBefore::Visitor => ok(&browser, "/create").await,
            SessionBefore::Session => {
                ok(&browser, "/create").await;
                ok(&browser, "/one").await;
            }
            SessionBefore::LongValue => {
                ok(&browser, "/create").await;
                ok(&browser, "/lengthen").await;
            }
            SessionBefore::WithCollection => {
                ok(&browser, "/create").await;
                ok(&browser, "/fill").await;
            }
            SessionBefore::OldSession => {
                ok(&browser.at(&self.old), "/create").await;
                ok(&browser.at(&self.old), "/one").await;
            }
        }
        // The text of the time is as long as possible then, unless this takes more than a tenth of a second.
        let six_digits = || {
            let time = self.redis.cli(&["TIME"]);
            let micros = time.lines().nth(1).and_then(|micros| micros.parse().ok());
            micros.is_some_and(|micros| (100_000..900_000).contains(&micros))
        };
        until("microseconds of six digits", String::new, six_digits);
        self.proxy.take();
        ok(&browser, path).await;
        let traffic = self.proxy.take();
        self.check(&browser, path).await;
        traffic
    }

    /// Returns true if the operation did what its name says.
    async fn check(&self, browser: &Client, path: &str) {
        let (path, expected) = match path {
            "/write" | "/blind" => ("/one", OTHER.to_owned()),
            "/write-entry" => ("/entries", format!("100 {:?}", Some(OTHER))),
            "/write-34" => ("/one", [OTHER, "kl"].concat()),
            "/add" | "/blind-add" => ("/sum", "1".to_owned()),
            "/create" | "/rotate" => ("/all", [VALUE; 20].join(",")),
            "/destroy" => ("/one", String::new()),
            _ => return,
        };
        assert_eq!(browser.get(path).await.text(), expected);
    }

    async fn rows(&self) -> Vec<WireRow> {
        let mut rows = Vec::new();
        for (operation, before, path) in OPERATIONS {
            let with_time = operation == WITH_TIME;
            // The script returns the time with each reply.
            if with_time && self.store == WEBDIS {
                continue;
            }
            let mut row = WireRow::new(self.store, operation, &self.once(before, path, with_time).await);
            // One load in each second asks for it.
            for _ in 1..if with_time { 2 } else { TIMES } {
                row =
                    row.with(WireRow::new(self.store, operation, &self.once(before, path, with_time).await));
            }
            rows.push(row);
        }
        rows
    }
}

/// A clock that is two hours behind.
fn behind() -> ManualClock {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_millis(SystemClock.now().as_millis() - 2 * 3600 * 1000));
    clock
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WireRow {
    /// Store, operation, commands, round trips.
    what: [String; 4],
    bytes_out: usize,
    bytes_in: usize,
}

impl WireRow {
    fn new(store: &str, operation: &str, traffic: &Traffic) -> Self {
        let Traffic { requests, round_trips, bytes_out, bytes_in } = traffic;
        let what = [store.to_owned(), operation.to_owned(), requests.join(" "), round_trips.to_string()];
        Self { what, bytes_out: *bytes_out, bytes_in: *bytes_in }
    }

    /// Returns the larger values of both.
    fn with(self, other: Self) -> Self {
        assert_eq!(self.what, other.what);
        assert!(self.what[0] == WEBDIS || self.bytes_out == other.bytes_out, "{self:?} {other:?}");
        let [bytes_out, bytes_in] = [self.bytes_out.max(other.bytes_out), self.bytes_in.max(other.bytes_in)];
        Self { bytes_out, bytes_in, ..self }
    }

    fn parse(line: &str) -> Option<Self> {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [store, operation, commands, trips, bytes_out, bytes_in, sum] = cells[..] else { return None };
        let [bytes_out, bytes_in, sum] = [bytes_out, bytes_in, sum].map(|cell| cell.parse::<usize>().ok());
        let what = [store, operation, commands, trips].map(|cell| cell.trim_matches('-').to_owned());
        let row = Self { what, bytes_out: bytes_out?, bytes_in: bytes_in? };
        (row.sum() == sum?).then_some(row)
    }

    /// A cell without text would be hard to see.
    fn line(&self) -> String {
        let [store, operation, commands, trips] =
            self.what.each_ref().map(|cell| if cell.is_empty() { "-" } else { cell });
        let (bytes_out, bytes_in, sum) = (self.bytes_out, self.bytes_in, self.sum());
        format!("| {store} | {operation} | {commands} | {trips} | {bytes_out} | {bytes_in} | {sum} |\n")
    }

    fn sum(&self) -> usize {
        self.bytes_out + self.bytes_in
    }

    /// Returns true if the traffic, the largest of several, agrees with this row.
    fn is(&self, seen: &Self) -> bool {
        let least = self.bytes_in.saturating_sub(SLACK * self.what[2].matches("TIME").count());
        let slack = if self.what[0] == WEBDIS { self.bytes_out / 20 } else { 0 };
        self.what == seen.what
            && self.bytes_out.abs_diff(seen.bytes_out) <= slack
            && (least..=self.bytes_in).contains(&seen.bytes_in)
    }
}

async fn ok(browser: &Client, path: &str) {
    let response = browser.get(path).await;
    assert_eq!(response.status(), 200, "{path}: {}", response.text());
}

/// Every operation agrees with its row in the table, and the table has no other rows.
#[tokio::test(flavor = "multi_thread")]
async fn operations_cost_what_the_table_says() {
    let mut rows = Measured::redis().await.rows().await;
    rows.extend(Measured::webdis().await.rows().await);
    let written: String = rows.iter().map(WireRow::line).collect();
    println!("{written}");
    if std::env::var_os("WIRE").is_some_and(|what| what == "write") {
        fs::write(TABLE, [HEAD, &written].concat()).expect("the table is written");
    }
    let table = fs::read_to_string(TABLE).expect("the table is there");
    assert!(table.starts_with(HEAD), "the head of tests/wire.md is another; write it anew");
    let table: BTreeMap<_, _> =
        table.lines().filter_map(WireRow::parse).map(|row| (row.what[..2].to_vec(), row)).collect();
    assert_eq!(table.len(), rows.len(), "tests/wire.md has other rows; write it anew");
    for row in rows {
        let told = table.get(&row.what[..2]).unwrap_or_else(|| panic!("no row for {row:?}"));
        assert!(told.is(&row), "the table says {told:#?}\nbut it was {row:#?}");
    }
}

/// One changed field of twenty takes one round trip to load, one to commit, and at most 400 bytes both ways. It takes
/// 47 more bytes if the load asks for the server's time, once a second.
#[tokio::test(flavor = "multi_thread")]
async fn one_changed_field_of_twenty_costs_at_most_400_bytes() {
    let measured = Measured::redis().await;
    for (before, path) in [(SessionBefore::Session, "/write"), (SessionBefore::LongValue, "/write-34")] {
        for with_time in [false, true] {
            let seen = measured.once(before, path, with_time).await;
            let sum = seen.bytes_out + seen.bytes_in;
            println!("{path}: {sum} bytes ({}); tower-sessions needs 1740", seen.requests.join(" "));
            assert_eq!(seen.requests[usize::from(with_time)..], ["HMGET", "EVALSHA"]);
            assert_eq!(seen.round_trips, 2);
            assert!(sum <= if with_time { 447 } else { 400 }, "{path}: {seen:?}");
        }
    }
}

/// A view is one round trip for any number of fields. Within the touch window nothing is written. A request that does
/// not use its session sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn reading_is_one_round_trip_and_no_write() {
    let measured = Measured::redis().await;
    for (path, with_time) in [("/one", false), ("/all", false), ("/one", true), ("/all", true)] {
        let seen = measured.once(SessionBefore::Session, path, with_time).await;
        assert_eq!(
            (seen.round_trips, &seen.requests[usize::from(with_time)..]),
            (1, &["HMGET".to_owned()][..])
        );
    }
    assert_eq!(measured.measure(SessionBefore::Session, "/untouched").await, Traffic::default());
    assert_eq!(measured.measure(SessionBefore::Nothing, "/one").await, Traffic::default());
    assert_eq!(measured.measure(SessionBefore::OldSession, "/one").await.round_trips, 2);
}

/// A writer is one round trip, and loads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_costs_one_round_trip() {
    for (measured, verb) in
        [(Measured::redis().await, "EVALSHA"), (Measured::webdis().await, "EVALSHA(commit)")]
    {
        for path in ["/blind", "/blind-add"] {
            let seen = measured.measure(SessionBefore::Session, path).await;
            assert_eq!((seen.round_trips, &seen.requests[..]), (1, &[verb.to_owned()][..]), "{path}");
        }
    }
}

/// One of 100 entries is changed by one load and one small commit. A view without the collection pays nothing for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_costs_the_views_that_show_it() {
    let measured = Measured::redis().await;
    let written = measured.once(SessionBefore::WithCollection, "/write-entry", false).await;
    assert_eq!(
        (written.round_trips, &*written.requests),
        (2, &["HGETALL".to_owned(), "EVALSHA".to_owned()][..])
    );
    assert!(written.bytes_out <= 400, "{written:?}");
    let read = measured.once(SessionBefore::WithCollection, "/entries", false).await;
    assert_eq!((read.round_trips, &*read.requests), (1, &["HGETALL".to_owned()][..]));
    for path in ["/one", "/write"] {
        let beside = measured.once(SessionBefore::WithCollection, path, false).await;
        assert_eq!(beside, measured.once(SessionBefore::Session, path, false).await, "{path}");
    }
    let webdis = Measured::webdis().await;
    let written = webdis.measure(SessionBefore::WithCollection, "/write-entry").await;
    assert_eq!(written.requests, ["EVALSHA(load)", "EVALSHA(commit)"]);
}

/// Behind Webdis too, a load is one round trip for any number of fields, and a commit is one.
#[tokio::test(flavor = "multi_thread")]
async fn webdis_is_asked_no_more_often_than_redis() {
    let measured = Measured::webdis().await;
    assert_eq!(measured.measure(SessionBefore::Session, "/untouched").await, Traffic::default());
    assert_eq!(measured.measure(SessionBefore::Nothing, "/one").await, Traffic::default());
    for path in ["/one", "/all"] {
        assert_eq!(measured.measure(SessionBefore::Session, path).await.requests, ["EVALSHA(load)"]);
    }
    for (path, verb) in
        [("/write", "commit"), ("/add", "commit"), ("/rotate", "commit"), ("/destroy", "destroy")]
    {
        let seen = measured.measure(SessionBefore::Session, path).await;
        assert_eq!(seen.requests, ["EVALSHA(load)".to_owned(), format!("EVALSHA({verb})")]);
        assert_eq!(seen.round_trips, 2);
    }
    assert_eq!(measured.measure(SessionBefore::Nothing, "/create").await.requests, ["EVALSHA(create)"]);
}
