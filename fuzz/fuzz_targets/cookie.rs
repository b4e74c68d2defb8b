//! Any `Cookie` headers: the session is that of the one live token among the first two distinct ones; with none or
//! two there is none, and what then begins has an id that nobody chose.
#![no_main]

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arbitrary::Arbitrary;
use axum_core::extract::FromRequestParts;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Request, Response, StatusCode, header::COOKIE};
use libfuzzer_sys::fuzz_target;
use sessions::{
    Event, RecordId, Session, SessionLayer, SessionService, TypedSession,
    store::{MemoryStore, Store},
    testing::{Call, Recording, RecordingStore},
};
use sessions_fuzz::{Answering, Handler, Still, cookie_of, wait};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    headers: Vec<Vec<Piece<'a>>>,
    writes: bool,
}

/// A piece of a header, so that real tokens are found.
#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Name,
    Separator,
    Quote,
    Token(u8),
    /// A token with one byte changed.
    Bent(u8, u8, u8),
}

#[derive(Session)]
struct Visit {
    count: u32,
}

#[derive(Clone, Copy)]
enum Action {
    Look,
    Count,
    Rotate,
    Destroy,
}

/// Which record a handler had.
#[derive(Clone, Copy)]
struct Had(Option<RecordId>);

type Service_ = SessionService<Handler<fn(Request<()>) -> Answering>>;

struct Site {
    service: Service_,
    store: Arc<RecordingStore<MemoryStore>>,
    recording: Recording,
    ambiguous: Arc<AtomicUsize>,
    /// Two live ones, then those that are not: destroyed, rotated away, with another secret.
    tokens: Vec<String>,
}

const LIVE: usize = 2;

const SUPERSEDED: usize = 3;

fn handle(request: Request<()>) -> Answering {
    Box::pin(async move {
        let (mut parts, ()) = request.into_parts();
        let action = *parts.extensions.get::<Action>().expect("an action");
        let mut session = match TypedSession::<Visit>::from_request_parts(&mut parts, &()).await {
            Ok(session) => session,
            Err(rejection) => panic!("{rejection:?}"),
        };
        let had = Had(session.record_id());
        match action {
            Action::Look => assert!(session.is_new() == had.0.is_none()),
            Action::Count => session.set_count(session.count().wrapping_add(1)),
            Action::Rotate => session.rotate(),
            Action::Destroy => session.destroy(),
        }
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(had);
        response
    })
}

impl Site {
    fn new() -> Self {
        let store = Arc::new(RecordingStore::new(MemoryStore::new().with_clock(Still)));
        let ambiguous = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&ambiguous);
        let layer = SessionLayer::new(Arc::clone(&store)).with_event_interval(Duration::ZERO);
        let layer = layer.with_event_hook(move |event| match event {
            Event::TwoLiveTokens { .. } => drop(seen.fetch_add(1, Ordering::Relaxed)),
            other => drop(format!("{other:?}")),
        });
        let service = layer.layer(Handler(handle as fn(Request<()>) -> Answering));
        let mut site = Self { service, recording: store.recording(), store, ambiguous, tokens: Vec::new() };
        let begin = |site: &Self| cookie_of(&site.answer(&[], Action::Count)).expect("a cookie");
        let with = |token: &str| vec![format!("__Host-sid={token}").into_bytes()];
        let first = begin(&site);
        let before = begin(&site);
        let second = cookie_of(&site.answer(&with(&before), Action::Rotate)).expect("a new secret");
        let destroyed = begin(&site);
        assert_eq!(cookie_of(&site.answer(&with(&destroyed), Action::Destroy)).as_deref(), Some(""));
        let mut forged = bytes(&first);
        forged[48] ^= 1;
        site.tokens = vec![first, second, destroyed, before, URL_SAFE_NO_PAD.encode(forged)];
        site
    }

    fn answer(&self, headers: &[Vec<u8>], action: Action) -> Response<String> {
        let mut request = Request::new(());
        for header in headers {
            // What no server would let through.
            if let Ok(value) = HeaderValue::from_bytes(header) {
                request.headers_mut().append(COOKIE, value);
            }
        }
        request.extensions_mut().insert(action);
        wait(self.service.clone().call(request)).expect("an answer")
    }
}

fn bytes(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token).expect("a token")
}

/// The first two distinct tokens, read in another way.
fn presented(headers: &[Vec<u8>]) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let valid = headers.iter().filter(|header| HeaderValue::from_bytes(header).is_ok());
    for pair in valid.flat_map(|header| header.split(|byte| *byte == b';')) {
        let Some((name, value)) = pair.trim_ascii().split_once_on_equals() else { continue };
        // One pair of quotes, around all of it.
        let value = match value {
            [b'"', inner @ .., b'"'] => inner,
            value => value,
        };
        let is_token = |bytes: Vec<u8>| bytes.len() == 49 && bytes[0] == 1;
        if name == b"__Host-sid" && URL_SAFE_NO_PAD.decode(value).is_ok_and(is_token) {
            let value = String::from_utf8(value.to_vec()).expect("base64");
            if !tokens.contains(&value) && tokens.len() < 2 {
                tokens.push(value);
            }
        }
    }
    tokens
}

trait SplitOnce {
    fn split_once_on_equals(&self) -> Option<(&[u8], &[u8])>;
}

impl SplitOnce for [u8] {
    fn split_once_on_equals(&self) -> Option<(&[u8], &[u8])> {
        let at = self.iter().position(|byte| *byte == b'=')?;
        Some((&self[..at], &self[at + 1..]))
    }
}

fn header(pieces: &[Piece<'_>], tokens: &[String]) -> Vec<u8> {
    let mut header = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => header.extend_from_slice(bytes),
            Piece::Name => header.extend_from_slice(b"__Host-sid="),
            Piece::Separator => header.extend_from_slice(b"; "),
            Piece::Quote => header.push(b'"'),
            Piece::Token(index) => {
                header.extend_from_slice(tokens[usize::from(*index) % tokens.len()].as_bytes())
            }
            Piece::Bent(index, at, to) => {
                let mut token = tokens[usize::from(*index) % tokens.len()].clone().into_bytes();
                let at = usize::from(*at) % token.len();
                token[at] = *to;
                header.extend_from_slice(&token);
            }
        }
    }
    header
}

fuzz_target!(|input: Input<'_>| {
    static SITE: LazyLock<Site> = LazyLock::new(Site::new);
    let site = &*SITE;
    let headers: Vec<_> = input.headers.iter().map(|pieces| header(pieces, &site.tokens)).collect();
    let tokens = presented(&headers);
    let ids: Vec<_> = tokens
        .iter()
        .map(|token| RecordId::from_bytes(bytes(token)[1..17].try_into().expect("16 bytes")))
        .collect();
    let live: Vec<_> =
        tokens.iter().zip(&ids).filter(|(token, _)| site.tokens[..LIVE].contains(token)).collect();
    let expected = if let [(_, id)] = live[..] { Some(*id) } else { None };

    site.recording.clear();
    let ambiguous = site.ambiguous.load(Ordering::Relaxed);
    let response = site.answer(&headers, if input.writes { Action::Count } else { Action::Look });
    // Who has just been given a new secret begins no new session with the old one.
    let is_superseded = expected.is_none() && tokens.contains(&site.tokens[SUPERSEDED]);
    let is_refused = input.writes && is_superseded;
    assert_eq!(response.status(), if is_refused { StatusCode::CONFLICT } else { StatusCode::OK });
    if !is_refused {
        let Had(had) = *response.extensions().get::<Had>().expect("what the handler had");
        assert_eq!(had, expected);
    }
    assert_eq!(site.ambiguous.load(Ordering::Relaxed) - ambiguous, usize::from(live.len() == 2));

    let calls = site.recording.take();
    let loads = calls.iter().filter_map(|call| match call {
        Call::Load { id, .. } => Some(*id),
        _ => None,
    });
    assert_eq!(loads.collect::<Vec<_>>(), ids);
    let created = calls.iter().find_map(|call| match call {
        Call::Create { id, .. } => Some(*id),
        _ => None,
    });
    // A cookie for what began here, and nothing else.
    let given = cookie_of(&response)
        .map(|token| RecordId::from_bytes(bytes(&token)[1..17].try_into().expect("16 bytes")));
    assert_eq!(given, created);
    assert_eq!(created.is_some(), input.writes && expected.is_none() && !is_superseded);
    if let Some(id) = created {
        assert!(!ids.contains(&id), "an id from the request");
        wait(site.store.destroy(id)).expect("destroyed");
    }
});
