//! Types of fields: of other crates, of the standard library, and nested.
#![deny(warnings)]

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    marker::PhantomData,
    net::IpAddr,
    num::NonZeroU32,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sessions::{Session, TypedSession};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Step {
    #[default]
    Cart,
    Address {
        street: String,
    },
    Payment(Payment),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Payment {
    cents: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

type UserId = u64;
type Names = Vec<String>;

#[derive(Session)]
struct Types {
    uuid: Uuid,
    #[session(copy)]
    maybe_uuid: Option<Uuid>,
    #[session(with = "time::serde::rfc3339", default = OffsetDateTime::UNIX_EPOCH, copy)]
    at: OffsetDateTime,
    #[session(with = "time::serde::timestamp")]
    maybe_at: Option<OffsetDateTime>,
    #[session(default = SystemTime::UNIX_EPOCH)]
    system: SystemTime,
    duration: Duration,
    ip: Option<IpAddr>,
    path: PathBuf,
    non_zero: Option<NonZeroU32>,
    step: Step,
    maybe_step: Option<Step>,
    nested: Option<Option<u8>>,
    #[session(merge = "last")]
    deeper: Vec<Option<Vec<Option<String>>>>,
    tuple: (u8, String),
    array: [u8; 16],
    array_of_options: [Option<u64>; 3],
    unit: (),
    boxed: Box<str>,
    boxed_slice: Box<[u8]>,
    tree: Box<BTreeMap<String, Vec<u64>>>,
    #[session(merge = "last")]
    map: HashMap<String, HashMap<u64, String>>,
    #[session(merge = "last")]
    set: HashSet<u64>,
    #[session(merge = "last")]
    ordered: Option<BTreeSet<String>>,
    queue: VecDeque<u8>,
    cow: Cow<'static, str>,
    phantom: PhantomData<Step>,
    wide: u128,
    signed_wide: Option<i128>,
    float: f32,
    character: char,
    alias: UserId,
    alias_of_vec: Names,
    generic: Page<Page<u8>>,
    full_path: std::option::Option<std::string::String>,
    #[session(merge = "last")]
    full_vec: std::vec::Vec<std::string::String>,
    #[allow(unused_parens)]
    parenthesised: (Option<(u8)>),
    function: Option<<Step as Identity>::Itself>,
}

trait Identity {
    type Itself;
}

impl<T> Identity for T {
    type Itself = Self;
}

fn handler(mut session: TypedSession<Types>) {
    let _: &Uuid = session.uuid();
    let _: Option<Uuid> = session.maybe_uuid();
    let _: OffsetDateTime = session.at();
    let _: Option<&Option<u8>> = session.nested();
    let _: &[Option<Vec<Option<String>>>] = session.deeper();
    let _: &Box<str> = session.boxed();
    let _: u64 = *session.alias();
    let _: &Names = session.alias_of_vec();
    let _: Option<&str> = session.full_path();
    let _: &[String] = session.full_vec();
    let _: Option<u8> = session.parenthesised();
    session.set_nested(None);
    session.set_at(session.at() + Duration::from_secs(1));
    session.set_full_path("text");
    session.array_mut()[0] = 1;
    match session.step() {
        Step::Cart => session.set_step(Step::Payment(Payment { cents: 3 })),
        Step::Address { street } => session.set_boxed(street.as_str().into()),
        Step::Payment(Payment { cents }) => session.set_wide((*cents).into()),
    }
    let Types { map, .. } = session.snapshot();
    session.set_map(map);
}

fn main() {
    let _ = handler;
}
