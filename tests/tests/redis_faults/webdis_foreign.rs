//! The hazard of Webdis before 0.1.20: the client that gets the file descriptor of one that left gets its reply too.
//! On the whole stack, while clients leave all the time, no user sees the session of another one.

use std::{
    collections::HashSet,
    future::poll_fn,
    io::Write,
    net::{Ipv4Addr, TcpStream},
    pin::pin,
    task::Poll,
    time::Duration,
};

use axum::{Router, extract::Path, routing::get};
use sessions::{Session, SessionLayer, TypedSession, store::WebdisStore, testing::Client};
use tests::servers::{RedisServer, WebdisServer};

const ROUNDS: u64 = 500;
const USERS: usize = 8;
const LEAVING: usize = 8;

#[derive(Session)]
struct Owned {
    owner: String,
    /// The owner's name and a number.
    note: String,
    #[session(merge = "add")]
    added: u64,
}

type OwnedSession = TypedSession<Owned>;

/// Returns a browser in front of an instance of the application.
fn instance(store: WebdisStore) -> Client {
    let set = async |Path((owner, number)): Path<(String, u64)>, mut session: OwnedSession| {
        // The session is empty, or the same user's.
        assert!(session.owner().is_empty() || session.owner() == owner, "{} is not {owner}", session.owner());
        session.set_note(format!("{owner}-{number}"));
        session.set_owner(owner);
    };
    let show =
        async |session: OwnedSession| format!("{} {} {}", session.owner(), session.note(), session.added());
    let routes = Router::new()
        .route("/set/{owner}/{number}", get(set))
        .route("/add", get(async |mut session: OwnedSession| session.add_added(1)))
        .route("/show", get(show));
    Client::new(routes.layer(SessionLayer::new(store)))
}

/// A user, and the responses that they got.
struct OwnedUser {
    name: String,
    browser: Client,
    /// The last note that was acknowledged, and all of unknown outcome.
    note: u64,
    maybe_notes: HashSet<u64>,
    added: u64,
    maybe_added: u64,
    answered: u64,
    failed: u64,
    /// The number of requests whose handler was cancelled before its end.
    cancelled: u64,
}

impl OwnedUser {
    async fn begin(name: String, browser: Client) -> Self {
        let begun = browser.get(&format!("/set/{name}/0")).await;
        assert_eq!(begun.status(), 200);
        Self {
            name,
            browser,
            note: 0,
            maybe_notes: HashSet::new(),
            added: 0,
            maybe_added: 0,
            answered: 0,
            failed: 0,
            cancelled: 0,
        }
    }

    /// Sends one request of each kind to an instance.
    async fn visit(mut self, round: u64, instance: &Client) -> Self {
        let browser = self.browser.at(instance);
        // A handler waits for its session first, and for its commit second.
        cancel(&browser, if round.is_multiple_of(2) { 1 } else { 2 }).await;
        self.maybe_added += 1;
        self.cancelled += 1;
        if self.succeeds(&browser, "/add").await {
            self.added += 1;
        } else {
            self.maybe_added += 1;
        }
        if self.succeeds(&browser, &format!("/set/{}/{round}", self.name)).await {
            self.note = round;
        } else {
            self.maybe_notes.insert(round);
        }
        self.look(&browser).await;
        self
    }

    async fn succeeds(&mut self, browser: &Client, path: &str) -> bool {
        let status = browser.get(path).await.status().as_u16();
        assert!(status == 200 || status == 503, "{path}: {status}");
        self.answered += u64::from(status == 200);
        self.failed += u64::from(status == 503);
        status == 200
    }

    /// Compares the session with the responses that its user got. Returns true if it was readable.
    async fn look(&mut self, browser: &Client) -> bool {
        let response = browser.get("/show").await;
        if response.status() == 503 {
            self.failed += 1;
            return false;
        }
        assert_eq!(response.status(), 200);
        self.answered += 1;
        let words: Vec<_> = response.text().split(' ').collect();
        let [owner, note, added] = words[..] else { panic!("{words:?}") };
        assert_eq!(owner, self.name, "another user's session");
        let (writer, number) = note.split_once('-').expect("a note");
        assert_eq!(writer, self.name, "another user's note");
        let number = number.parse().expect("a number");
        assert!(number == self.note || self.maybe_notes.contains(&number), "{number} is not {}", self.note);
        let added: u64 = added.parse().expect("a number");
        let most = self.added + self.maybe_added;
        assert!((self.added..=most).contains(&added), "{added} is not from {} to {most}", self.added);
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_give_nobody_the_session_of_another() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    let store = WebdisStore::connect(webdis.url()).await.expect("a server that answers");
    let steady = instance(store.clone());
    let mut users = Vec::new();
    for index in 0..USERS {
        users.push(OwnedUser::begin(format!("user{index}"), steady.stranger()).await);
    }
    let (mut quarantined, mut unopened) = (0, 0);
    for round in 1..=ROUNDS {
        leave(webdis.port()).await;
        // An instance that starts now, whose connections get the file descriptors of clients that left. It may fail to
        // start for that reason.
        let opened = WebdisStore::builder(webdis.url()).connect().await;
        unopened += u64::from(opened.is_err());
        let fresh = opened.ok();
        // Once more, since opening has waited until the others' replies had come.
        leave(webdis.port()).await;
        let other = fresh.clone().map_or_else(|| steady.clone(), instance);
        let visits: Vec<_> = users
            .into_iter()
            .enumerate()
            .map(|(index, user)| {
                let instance = if index % 2 == 0 { steady.clone() } else { other.clone() };
                tokio::spawn(async move { user.visit(round, &instance).await })
            })
            .collect();
        users = Vec::new();
        for visit in visits {
            users.push(visit.await.expect("a visit without a panic"));
        }
        quarantined += fresh.map_or(0, |store| store.quarantined_connections_total());
    }
    // In the end each user sees their whole session.
    for user in &mut users {
        let browser = user.browser.at(&steady);
        let mut tries = 0;
        while !user.look(&browser).await {
            tries += 1;
            assert!(tries < 100, "{} cannot be read", user.name);
        }
    }
    let sum = |count: fn(&OwnedUser) -> u64| users.iter().map(count).sum::<u64>();
    println!(
        "{ROUNDS} rounds, Webdis {}: answered {}, 503 {}, cancelled {}, quarantined connections {} of new instances \
         and {} of the steady one, new instances that did not open {unopened}",
        webdis.version(),
        sum(|user| user.answered),
        sum(|user| user.failed),
        sum(|user| user.cancelled),
        quarantined,
        store.quarantined_connections_total(),
    );
    assert!(sum(|user| user.answered) > ROUNDS * 8, "hardly anything worked");
    if webdis.version() == "0.1.9" {
        let total = quarantined + store.quarantined_connections_total();
        assert!(total > 0, "the hazard was never there, so this has shown nothing");
    }
}

/// Sends an addition, and drops its future when it waits for the n-th time. It may have happened.
async fn cancel(browser: &Client, waits: usize) {
    let mut request = pin!(browser.get("/add"));
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        match request.as_mut().poll(context) {
            Poll::Pending if polls < waits => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// Starts clients that send a request and leave before the reply.
async fn leave(port: u16) {
    let leaving = tokio::task::spawn_blocking(move || {
        drop((0..LEAVING).map(|_| half_ask(port)).collect::<Vec<_>>());
    });
    leaving.await.expect("they leave");
}

/// Connects a client that has asked for something that takes a while. The reply has the form of one to the store, with
/// another nonce, and names no existing session.
fn half_ask(port: u16) -> TcpStream {
    let script = "for%20i%3D1%2C300000%20do%20end%20return%20ARGV%5B1%5D%2E%2EARGV%5B2%5D%2E%2EARGV%5B1%5D";
    let nonce = "0123456789abcdef0123456789abcdef";
    let body = format!("EVAL/{script}/0/{nonce}/13%3A1700000000000%2D%2D%2D%2D.raw");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("Webdis listens");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a socket");
    stream.write_all((head + &body).as_bytes()).expect("Webdis reads");
    stream
}
