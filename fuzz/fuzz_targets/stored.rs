//! Any record in the store, any accessors: nothing panics, other fields are kept, what fails changes nothing, and
//! what a handle showed last is what the next request sees.
#![no_main]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use arbitrary::Arbitrary;
use axum_core::extract::FromRequestParts;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::COOKIE};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};
use sessions::{
    Error, FieldName, RecordId, Session, SessionLayer, SessionService, Timeouts, TypedSession,
    store::{Commit, CommitOutcome, CreateOutcome, Fields, Loaded, NewRecord, Record, Store},
};
use sessions_fuzz::{Answering, Handler, NOW, cookie_of, wait};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Arbitrary, Clone, Debug)]
struct Input {
    /// What the store has for each name of the views.
    stored: [Option<Stored>; NAMES.len()],
    /// What it has beside that.
    others: Vec<(String, Vec<u8>)>,
    epoch: u64,
    unused_for: u32,
    used_for: u32,
    partial: bool,
    acts: Vec<Act>,
    fails: bool,
}

#[derive(Arbitrary, Clone, Debug)]
enum Stored {
    Bytes(Vec<u8>),
    Text(String),
    Number(i64),
    Float(f64),
    Flash([u8; 12], String),
    Nested(Nested),
}

#[derive(Arbitrary, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Nested {
    list: Vec<Option<bool>>,
    map: BTreeMap<String, i32>,
    choice: Choice,
}

#[derive(Arbitrary, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Choice {
    #[default]
    Unit,
    Tuple(u8, char),
    Struct {
        text: String,
    },
}

/// One field of each kind.
#[derive(Session, Clone, Debug, PartialEq)]
struct Everything {
    plain: u32,
    text: String,
    #[session(merge = "last")]
    list: Vec<u16>,
    #[session(default = -7)]
    with_default: i8,
    float: f64,
    letter: char,
    option: Option<String>,
    nested: Option<Nested>,
    #[flash]
    flash: Option<String>,
    #[session(rename = "@re.named", alias = "old", alias = "older")]
    renamed: u64,
    #[session(merge = "add", alias = "old_count")]
    count: u8,
    #[session(merge = "add", default = 5)]
    wide: u64,
    #[session(merge = "max", alias = "old_top")]
    top: i64,
    #[session(merge = "min")]
    low: i16,
    #[session(merge = "first", alias = "old_first")]
    first: Option<String>,
    #[session(with = "millis")]
    with: Option<Duration>,
    #[session(privilege, on_invalid = "reset", alias = "old_role")]
    role: Option<String>,
    #[session(copy)]
    pair: (u8, bool),
    #[session(skip)]
    skipped: u32,
}

/// A view that a value which does not decode keeps out.
#[derive(Session)]
struct Strict {
    #[session(privilege)]
    user: Option<u64>,
    #[session(on_invalid = "reject")]
    text: String,
}

const NAMES: [&str; 24] = [
    "plain",
    "text",
    "list",
    "with_default",
    "float",
    "letter",
    "option",
    "nested",
    "flash",
    "@re.named",
    "old",
    "older",
    "count",
    "old_count",
    "wide",
    "top",
    "old_top",
    "low",
    "first",
    "old_first",
    "with",
    "role",
    "old_role",
    "pair",
];

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum Act {
    SetPlain(u32),
    EditPlain(u32),
    ResetPlain,
    SetText(String),
    EditText(char),
    SetList(Vec<u16>),
    SetWithDefault(i8),
    ResetWithDefault,
    SetFloat(f64),
    EditFloat(f64),
    SetLetter(char),
    SetOption(String),
    EditOption(char),
    TakeOption,
    RemoveOption,
    SetNested(Nested),
    EditNested(Choice),
    Flash(String),
    Now(String),
    Take,
    Keep,
    Discard,
    SetRenamed(u64),
    ResetRenamed,
    AddCount(i64),
    EditCount(u8),
    SetCount(u8),
    ResetCount,
    FetchAddCount(i8),
    AddWide(i64),
    SetWide(u64),
    FetchAddWide(i64),
    SetTop(i64),
    EditTop(i64),
    ResetTop,
    SetLow(i16),
    EditLow(i16),
    SetFirst(String),
    EditFirst(char),
    RemoveFirst,
    SetWith(u32),
    RemoveWith,
    SetRole(String),
    EditRole(char),
    RemoveRole,
    SetPair(u8, bool),
    SetSkipped(u32),
    Rotate,
    Clear,
    Discarded,
    Save,
    Reload,
}

/// What a request is to do, and what it then saw.
#[derive(Clone, Default)]
struct Task {
    acts: Vec<Act>,
    fails: bool,
    seen: Arc<Mutex<Option<Seen>>>,
}

struct Seen {
    view: Everything,
    is_new: bool,
    /// What is in the store at the latest: a save that succeeded.
    saved: Option<Fields>,
    save_failed: bool,
    strict: Result<(), StatusCode>,
}

/// Records, and how much of one a load brings.
#[derive(Default)]
struct Shelf {
    records: Mutex<HashMap<RecordId, Record>>,
    partial: Mutex<bool>,
}

impl Store for Shelf {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let partial = *self.partial.lock().expect("a lock");
        let records = self.records.lock().expect("a lock");
        let Some(record) = records.get(&id) else { return Ok(None) };
        let loaded = Loaded::new(record, NOW);
        let mut fields = record.fields.clone();
        fields.retain(names);
        Ok(Some(if partial { loaded.with_fields(fields, false) } else { loaded }))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        self.records.lock().expect("a lock").insert(id, Record::new(new, NOW));
        Ok(CreateOutcome::Created(NOW))
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let mut records = self.records.lock().expect("a lock");
        Ok(records.get_mut(&id).map_or(CommitOutcome::NotFound, |record| record.commit(&commit, NOW)))
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.records.lock().expect("a lock").remove(&id);
        Ok(())
    }

    async fn purge(&self, _timeouts: Timeouts, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }
}

struct Site {
    service: SessionService<Handler<fn(Request<()>) -> Answering>>,
    shelf: Arc<Shelf>,
    cookie: String,
    id: RecordId,
    record: Record,
}

impl Site {
    fn new() -> Self {
        let shelf = Arc::new(Shelf::default());
        let layer = SessionLayer::new(Arc::clone(&shelf)).with_event_hook(|event| drop(format!("{event:?}")));
        let service = layer.layer(Handler(handle as fn(Request<()>) -> Answering));
        let task = Task { acts: vec![Act::SetPlain(1)], ..Task::default() };
        let cookie = cookie_of(&answer(&service, None, task)).expect("a cookie");
        let (id, record) = shelf.records.lock().expect("a lock").drain().next().expect("a record");
        Self { service, shelf, cookie, id, record }
    }

    fn fields(&self) -> Option<Fields> {
        self.shelf.records.lock().expect("a lock").get(&self.id).map(|record| record.fields.clone())
    }
}

fn answer(
    service: &SessionService<Handler<fn(Request<()>) -> Answering>>,
    cookie: Option<&str>,
    task: Task,
) -> Response<String> {
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        let value = HeaderValue::try_from(format!("__Host-sid={cookie}")).expect("a header");
        request.headers_mut().insert(COOKIE, value);
    }
    request.extensions_mut().insert(task);
    wait(service.clone().call(request)).expect("an answer")
}

fn handle(request: Request<()>) -> Answering {
    Box::pin(async move {
        let (mut parts, ()) = request.into_parts();
        let task = parts.extensions.get::<Task>().expect("a task").clone();
        let mut session = TypedSession::<Everything>::from_request_parts(&mut parts, &())
            .await
            .expect("what is invalid is reset");
        let is_new = session.is_new();
        let (mut saved, mut save_failed) = (None, false);
        for act in task.acts {
            match act {
                Act::Save => match session.save().await {
                    Ok(()) => saved = rig_fields(),
                    Err(_) => save_failed = true,
                },
                Act::Reload => save_failed |= session.reload().await.is_err(),
                Act::FetchAddCount(by) => match session.fetch_add_count(by.into()).await {
                    Ok(sum) => {
                        assert_eq!(session.count(), sum);
                        saved = rig_fields();
                    }
                    Err(_) => save_failed = true,
                },
                Act::FetchAddWide(by) => match session.fetch_add_wide(by).await {
                    Ok(sum) => {
                        assert_eq!(session.wide(), sum);
                        saved = rig_fields();
                    }
                    Err(_) => save_failed = true,
                },
                act => perform(&mut session, act),
            }
        }
        let view = session.snapshot();
        drop(session);
        let strict = TypedSession::<Strict>::from_request_parts(&mut parts, &()).await;
        let strict = strict.map_err(|rejection| rejection.status()).map(|strict| {
            let _ = (strict.user(), strict.text());
        });
        *task.seen.lock().expect("a lock") = Some(Seen { view, is_new, saved, save_failed, strict });
        let mut response = Response::new(String::new());
        if task.fails {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        response
    })
}

fn perform(session: &mut TypedSession<Everything>, act: Act) {
    match act {
        Act::SetPlain(value) => session.set_plain(value),
        Act::EditPlain(value) => *session.plain_mut() ^= value,
        Act::ResetPlain => session.reset_plain(),
        Act::SetText(text) => session.set_text(text),
        Act::EditText(letter) => session.text_mut().push(letter),
        Act::SetList(list) => session.set_list(list),
        Act::SetWithDefault(value) => session.set_with_default(value),
        Act::ResetWithDefault => session.reset_with_default(),
        Act::SetFloat(value) => session.set_float(value),
        Act::EditFloat(value) => *session.float_mut() += value,
        Act::SetLetter(letter) => session.set_letter(letter),
        Act::SetOption(text) => session.set_option(text),
        Act::EditOption(letter) => session.option_mut().into_iter().for_each(|text| text.push(letter)),
        Act::TakeOption => drop(session.take_option()),
        Act::RemoveOption => session.remove_option(),
        Act::SetNested(nested) => session.set_nested(nested),
        Act::EditNested(choice) => {
            if let Some(nested) = session.nested_mut() {
                nested.choice = choice;
            }
        }
        Act::Flash(text) => session.flash_flash(text),
        Act::Now(text) => session.flash_now_flash(text),
        Act::Take => drop(session.take_flash()),
        Act::Keep => session.keep_flash(),
        Act::Discard => session.discard_flash(),
        Act::SetRenamed(value) => session.set_renamed(value),
        Act::ResetRenamed => session.reset_renamed(),
        Act::EditCount(value) => *session.count_mut() = value,
        Act::AddCount(by) => session.add_count(by),
        Act::AddWide(by) => session.add_wide(by),
        // Counted in 64 bits with sign.
        Act::SetWide(value) => session.set_wide(value.min(i64::MAX as u64)),
        Act::SetCount(value) => session.set_count(value),
        Act::ResetCount => session.reset_count(),
        Act::SetTop(value) => session.set_top(value),
        Act::ResetTop => session.reset_top(),
        Act::EditTop(value) => *session.top_mut() = value,
        Act::SetLow(value) => session.set_low(value),
        Act::EditLow(value) => *session.low_mut() = value,
        Act::SetFirst(text) => session.set_first(text),
        Act::EditFirst(letter) => session.first_mut().into_iter().for_each(|text| text.push(letter)),
        Act::RemoveFirst => session.remove_first(),
        Act::SetWith(millis) => session.set_with(Duration::from_millis(millis.into())),
        Act::RemoveWith => session.remove_with(),
        Act::SetRole(role) => session.set_role(role),
        Act::EditRole(letter) => session.role_mut().into_iter().for_each(|role| role.push(letter)),
        Act::RemoveRole => session.remove_role(),
        Act::SetPair(number, flag) => session.set_pair((number, flag)),
        Act::SetSkipped(value) => session.set_skipped(value),
        Act::Rotate => session.rotate(),
        Act::Clear => session.clear(),
        Act::Discarded => session.discard_changes(),
        Act::Save | Act::Reload | Act::FetchAddCount(_) | Act::FetchAddWide(_) => unreachable!("they wait"),
    }
}

/// The stored names that an act may change.
fn names_of(act: &Act) -> &'static [&'static str] {
    match act {
        Act::SetPlain(_) | Act::EditPlain(_) | Act::ResetPlain => &["plain"],
        Act::SetText(_) | Act::EditText(_) => &["text"],
        Act::SetList(_) => &["list"],
        Act::SetWithDefault(_) | Act::ResetWithDefault => &["with_default"],
        Act::SetFloat(_) | Act::EditFloat(_) => &["float"],
        Act::SetLetter(_) => &["letter"],
        Act::SetOption(_) | Act::EditOption(_) | Act::TakeOption | Act::RemoveOption => &["option"],
        Act::SetNested(_) | Act::EditNested(_) => &["nested"],
        Act::Flash(_) | Act::Take | Act::Discard | Act::Keep => &["flash"],
        Act::SetRenamed(_) | Act::ResetRenamed => &["@re.named", "old", "older"],
        Act::AddCount(_) | Act::EditCount(_) | Act::SetCount(_) | Act::ResetCount | Act::FetchAddCount(_) => {
            &["count", "old_count"]
        }
        Act::AddWide(_) | Act::SetWide(_) | Act::FetchAddWide(_) => &["wide"],
        Act::SetTop(_) | Act::EditTop(_) | Act::ResetTop => &["top", "old_top"],
        Act::SetLow(_) | Act::EditLow(_) => &["low"],
        Act::SetFirst(_) | Act::EditFirst(_) | Act::RemoveFirst => &["first", "old_first"],
        Act::SetWith(_) | Act::RemoveWith => &["with"],
        Act::SetRole(_) | Act::EditRole(_) | Act::RemoveRole => &["role", "old_role"],
        Act::SetPair(..) => &["pair"],
        Act::SetSkipped(_)
        | Act::Now(_)
        | Act::Rotate
        | Act::Save
        | Act::Reload
        | Act::Discarded
        | Act::Clear => &[],
    }
}

/// Whether it needs a stored integer in its one spelling, or may leave something that JSON does not have.
fn may_fail(act: &Act) -> bool {
    let counts = ["count", "wide", "top", "low"];
    let is_float = matches!(act, Act::SetFloat(_) | Act::EditFloat(_));
    is_float || names_of(act).iter().any(|name| counts.contains(name))
}

impl Stored {
    fn bytes(&self) -> Bytes {
        let json = |text| serde_json::to_string(text).expect("a string");
        match self {
            Self::Bytes(bytes) => bytes.clone().into(),
            Self::Text(text) => json(text).into(),
            Self::Number(number) => number.to_string().into(),
            Self::Float(float) => serde_json::to_vec(float).expect("a number").into(),
            Self::Flash(stamp, text) => {
                [b"[\"", &stamp[..], b"\",", json(text).as_bytes(), b"]"].concat().into()
            }
            Self::Nested(nested) => serde_json::to_vec(nested).expect("JSON").into(),
        }
    }
}

static SITE: LazyLock<Site> = LazyLock::new(Site::new);

fn rig_fields() -> Option<Fields> {
    SITE.fields()
}

fuzz_target!(|input: Input| {
    let site = &*SITE;
    let others =
        input.others.iter().map(|(name, value)| (FieldName::from(name.as_str()), Bytes::from(value.clone())));
    let named = NAMES.iter().zip(&input.stored);
    let named =
        named.filter_map(|(name, stored)| Some((FieldName::from_static(name), stored.as_ref()?.bytes())));
    let mut record = site.record.clone();
    record.fields = others.chain(named).collect();
    record.epoch = input.epoch;
    record.touched = sessions::Timestamp::from_millis(NOW.as_millis() - i64::from(input.unused_for));
    record.created = sessions::Timestamp::from_millis(record.touched.as_millis() - i64::from(input.used_for));
    let before = record.clone();
    let is_alive = record.is_alive(&Timeouts::default(), NOW);
    *site.shelf.partial.lock().expect("a lock") = input.partial;
    *site.shelf.records.lock().expect("a lock") = HashMap::from([(site.id, record)]);

    let task = Task { acts: input.acts.clone(), fails: input.fails, ..Task::default() };
    let response = answer(&site.service, Some(&site.cookie), task.clone());
    let seen = task.seen.lock().expect("a lock").take().expect("what the handler saw");
    assert_eq!(seen.is_new, !is_alive);
    let cookie = cookie_of(&response);

    if !is_alive {
        assert_eq!(site.shelf.records.lock().expect("a lock")[&site.id], before, "a dead record");
    }
    let after = site.fields().expect("nobody destroyed it");
    let failed = response.status() != StatusCode::OK || seen.save_failed;
    let changes: Vec<_> = input.acts.iter().flat_map(names_of).copied().collect();
    let cleared = input.acts.iter().any(|act| matches!(act, Act::Clear));
    if failed {
        let expected = input.fails || input.acts.iter().any(may_fail) || (seen.save_failed && !is_alive);
        assert!(expected, "{}", response.status());
    }
    if is_alive && (failed || !cleared) {
        // A failed request may have saved before; a right that was taken away is gone all the same.
        let base = if failed { seen.saved.as_ref().unwrap_or(&before.fields) } else { &before.fields };
        for (name, value) in base.iter() {
            let may_change = if failed && !seen.save_failed {
                let is_right = ["role", "old_role", "user"].contains(&name.as_str());
                is_right && (cleared || changes.contains(&name.as_str()))
            } else {
                changes.contains(&name.as_str()) || (failed && cleared)
            };
            assert!(may_change || after.get(name.as_str()) == Some(value), "{name} is another");
        }
    }
    for (name, _) in after.iter() {
        let was_there = before.fields.contains(name.as_str());
        assert!(was_there || changes.contains(&name.as_str()), "{name} came from nowhere");
    }
    if is_alive {
        let decodes =
            |name: &str, is: fn(&[u8]) -> bool| before.fields.get(name).is_none_or(|value| is(value));
        let is_text = |value: &[u8]| serde_json::from_slice::<String>(value).is_ok();
        // Whatever `user` holds: the record names it as no right, so it reads as absent.
        if decodes("text", is_text) {
            assert_eq!(seen.strict, Ok(()));
        }
    }

    if failed {
        return;
    }
    // The next request.
    let task = Task::default();
    let next = cookie.as_deref().unwrap_or(&site.cookie);
    assert_eq!(answer(&site.service, Some(next), task.clone()).status(), StatusCode::OK);
    let mut again = task.seen.lock().expect("a lock").take().expect("what the handler saw").view;
    let last = seen.view;
    again.skipped = last.skipped;
    if input.acts.iter().any(|act| matches!(act, Act::Now(_))) {
        again.flash.clone_from(&last.flash);
    }
    assert_eq!(again, last);
});
