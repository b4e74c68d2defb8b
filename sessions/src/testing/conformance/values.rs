//! Values at the edge: of every width, length and spelling.

// `None` in `Some` is one of the edges.
#![allow(clippy::option_option)]

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    contract::{Direct, json},
    environment::{COOKIE, TestEnvironment, record_of},
    handler::{Case, case},
};
use crate::{Session, TypedSession, delta::Op, error::Error};

/// Values at the edges of the types that a program may keep in a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(unreachable_pub)]
pub struct Edges {
    bytes: (u8, u8, i8, i8),
    shorts: (u16, u16, i16, i16),
    words: (u32, u32, i32, i32),
    longs: (u64, u64, i64, i64),
    wide: (u128, i128),
    floats: Vec<f64>,
    small_floats: Vec<f32>,
    texts: Vec<String>,
    empty: Vec<u32>,
    maybe: Option<Option<u32>>,
    maybes: Vec<Option<bool>>,
    map: BTreeMap<String, Vec<u8>>,
    character: char,
    unit: (),
}

#[derive(Session)]
struct EdgeValues {
    edges: Option<Edges>,
    text: Option<String>,
    more: Option<String>,
    #[session(alias = "a_much_longer_name_that_it_once_had")]
    brief: Option<bool>,
    #[session(merge = "last")]
    empty: Option<Vec<u32>>,
    nested: Option<Option<u32>>,
    smallest: i64,
    largest: u64,
    float: f64,
    yes: bool,
}

type Visit = TypedSession<EdgeValues>;

fn edges() -> Edges {
    Edges {
        bytes: (u8::MIN, u8::MAX, i8::MIN, i8::MAX),
        shorts: (u16::MIN, u16::MAX, i16::MIN, i16::MAX),
        words: (u32::MIN, u32::MAX, i32::MIN, i32::MAX),
        longs: (u64::MIN, u64::MAX, i64::MIN, i64::MAX),
        wide: (u128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1),
        floats: vec![0.0, -0.0, 0.1, 1.0, 1e300, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::EPSILON],
        small_floats: vec![0.1, f32::MIN, f32::MAX, f32::MIN_POSITIVE],
        texts: texts(),
        empty: Vec::new(),
        maybe: Some(Some(0)),
        maybes: vec![None, Some(false), Some(true)],
        map: texts().into_iter().map(|text| (text.clone(), text.into_bytes())).collect(),
        character: '\u{10ffff}',
        unit: (),
    }
}

fn texts() -> Vec<String> {
    let texts = [
        "",
        " ",
        "0",
        "1.0",
        "-0",
        "007",
        "1e3",
        "NaN",
        "true",
        "null",
        "undefined",
        "[]",
        "{}",
        "\"",
        "''",
        "\\",
        "\\u0000",
        "\0",
        "a\0b",
        "line\nline\r\n\ttab",
        "/ ? # + % & = ; , :",
        "%00%0d%0a",
        "'; DROP TABLE sessions; --",
        "{\"$gt\":\"\"}",
        "redis.call('FLUSHALL')",
        "../../etc/passwd",
        "\u{feff}bom",
        "\u{202e}rtl",
        "e\u{301}",
        "日本語",
        "👩\u{200d}👩\u{200d}👧",
        "\u{7f}\u{80}\u{2028}",
        "Ω≈ç√∫",
    ];
    texts.map(str::to_owned).to_vec()
}

fn fill(view: &mut Visit) {
    view.set_edges(edges());
    view.set_text("\0'\"\\");
    view.set_empty(Vec::new());
    view.set_nested(Some(7));
    view.set_smallest(i64::MIN);
    view.set_largest(u64::MAX);
    view.set_float(-0.0);
    view.set_yes(true);
}

fn compare(view: &Visit) {
    let read = view.edges().expect("the edges are stored");
    assert_eq!(*read, edges());
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read.floats), bits(&edges().floats));
    assert_eq!(view.text(), Some("\0'\"\\"));
    assert_eq!(view.empty(), Some(&[][..]));
    assert_eq!(view.nested(), Some(&Some(7)));
    assert_eq!((view.smallest(), view.largest()), (i64::MIN, u64::MAX));
    assert_eq!(view.float().to_bits(), (-0.0_f64).to_bits());
    assert!(view.yes());
}

/// A value that is set is read in the next request, to the bit.
pub async fn edge_values_come_back_as_they_were(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(async |mut view: Visit| fill(&mut view)).await;
    browser.visit(async |view: Visit| compare(&view)).await;
}

/// Floats of any digits come back to the bit.
pub async fn floats_come_back_to_the_bit(env: TestEnvironment) {
    #[derive(Session)]
    struct Floats {
        #[session(merge = "last")]
        doubles: Vec<f64>,
        #[session(merge = "last")]
        singles: Vec<f32>,
    }

    // A generator of the literature (Marsaglia's xorshift), so that every run has the same ones.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bits = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut finite = || std::iter::repeat_with(&mut bits).map(f64::from_bits).find(|value| value.is_finite());
    let doubles: Vec<f64> = (0..2000).filter_map(|_| finite()).collect();
    let singles = (0..2000_u32).map(|index| f32::from_bits(index * 1_068_000)).collect::<Vec<_>>();
    let app = env.app().await;
    let browser = app.browser();
    let copies = (doubles.clone(), singles.clone());
    let set = async move |mut floats: TypedSession<Floats>| {
        floats.set_doubles(copies.0);
        floats.set_singles(copies.1);
    };
    browser.visit(set).await;
    let get = async |floats: TypedSession<Floats>| (floats.doubles().to_vec(), floats.singles().to_vec());
    let (read_doubles, read_singles) = browser.visit(get).await;
    let differs = |(left, right): &(&f64, &f64)| left.to_bits() != right.to_bits();
    let wrong = read_doubles.iter().zip(&doubles).filter(differs).count();
    assert_eq!((read_doubles.len(), wrong), (doubles.len(), 0), "doubles that changed");
    let differs = |(left, right): &(&f32, &f32)| left.to_bits() != right.to_bits();
    let wrong = read_singles.iter().zip(&singles).filter(differs).count();
    assert_eq!((read_singles.len(), wrong), (singles.len(), 0), "singles that changed");
}

/// A value of 1 MiB comes back, of characters that take room when escaped.
pub async fn a_value_of_a_mebibyte(env: TestEnvironment) {
    let long = "\u{1f980}'\"\\\n".repeat((1 << 20) / 8);
    let app = env.app_with(|layer| layer.with_size_limits(2 << 20, 4 << 20)).await;
    let browser = app.browser();
    let copy = long.clone();
    let set = async move |mut view: Visit| {
        view.set_text(copy);
        view.text().map(str::to_owned)
    };
    assert!(browser.visit(set).await.as_ref() == Some(&long), "set");
    let get = async |view: Visit| view.text().map(str::to_owned);
    assert!(browser.visit(get).await.as_ref() == Some(&long), "get");
    assert!(app.stored(record_of(&browser), "text").await.expect("the field").len() > 1 << 20);
}

/// A field or a session beyond its limit fails the request, which writes nothing.
///
/// A field that is there is read, and can be made smaller.
pub async fn what_is_too_large_is_refused_and_nothing_else_is_lost(env: TestEnvironment) {
    /// Returns text that takes so many bytes of JSON, with its quotes.
    fn long(size: usize) -> String {
        "x".repeat(size - 2)
    }
    fn text(size: usize) -> Case<Visit> {
        case(async move |mut view: Visit| view.set_text(long(size)))
    }
    fn more(size: usize) -> Case<Visit> {
        case(async move |mut view: Visit| view.set_more(long(size)))
    }
    async fn lengths(view: Visit) -> (usize, usize) {
        (view.text().map_or(0, str::len), view.more().map_or(0, str::len))
    }
    let app = env.app_with(|layer| layer.with_size_limits(1000, 1500)).await;
    let browser = app.browser();
    assert_eq!(browser.send(text(1001)).await.status(), 500);
    assert_eq!(browser.cookie(COOKIE), None);
    assert_eq!(browser.send(text(1000)).await.status(), 200);
    assert_eq!(browser.send(more(990)).await.status(), 500, "too much together");
    let more_and_save = async |mut view: Visit| {
        view.set_more(long(2000));
        view.save().await.expect_err("too large").to_string()
    };
    let refused = browser.send(more_and_save).await;
    assert!(refused.text().contains("`more` takes more than 1000 bytes as JSON"), "{}", refused.text());
    assert_eq!(browser.visit(lengths).await, (998, 0));
    assert_eq!(browser.send(more(400)).await.status(), 200);
    browser.visit(async |mut view: Visit| view.set_brief(true)).await;

    let strict = env.app_with(|layer| layer.with_size_limits(1000, 1000)).await;
    let browser = browser.at(&strict.browser());
    assert_eq!(browser.send(more(500)).await.status(), 500);
    assert_eq!(browser.send(more(300)).await.status(), 200, "less than before");
    assert_eq!(browser.visit(lengths).await, (998, 298));
    let remove_brief = browser.send(async |mut view: Visit| view.remove_brief());
    assert_eq!(remove_brief.await.status(), 200, "a removal adds nothing, even under a longer name");
    browser.visit(async |mut view: Visit| view.remove_text()).await;
    assert_eq!(browser.send(more(800)).await.status(), 200);
}

/// A value that cannot be stored, or not be read again, fails its request wholly.
///
/// One event names the field and the reason. Without it, no log says why there was a 500.
pub async fn what_cannot_be_stored_is_an_event_with_its_reason(env: TestEnvironment) {
    #[derive(Session)]
    struct Values {
        count: u32,
        point: Option<Point>,
        #[session(merge = "last")]
        pairs: BTreeMap<(u8, u8), u8>,
        shape: Option<Shape>,
        mail: Option<Mail>,
        long: String,
        other: String,
        #[session(merge = "first")]
        origin: Option<f64>,
        #[flash]
        notice: Option<Point>,
    }

    type Change = fn(&mut TypedSession<Values>);

    fn change(change: Change, is_saved: bool) -> Case<TypedSession<Values>> {
        case(async move |mut values: TypedSession<Values>| {
            values.set_count(values.count() + 1);
            change(&mut values);
            if is_saved {
                values.save().await?;
            }
            Ok::<_, Error>(format!("{} {:?}", values.count(), values.point().and_then(|point| point.x)))
        })
    }

    const HALF: Change = |values| values.set_point(Point { x: Some(0.5) });
    const INFINITE: Point = Point { x: Some(f64::INFINITY) };
    let app = env.app_with(|layer| layer.with_size_limits(1000, 1500)).await;
    let visitor = app.browser();
    assert_eq!(visitor.send(change(HALF, false)).await.text(), "1 Some(0.5)");
    let id = record_of(&visitor);
    let not_finite = "`point` cannot be written as JSON: a number in it is infinite or NaN";
    let edit: Change = |values| values.point_mut().expect("there is one").x = Some(f64::NAN);
    let insert: Change = |values| {
        values.pairs_mut().insert((1, 2), 3);
    };
    let fill: Change = |values| {
        values.set_other("x".repeat(700));
        values.set_long("x".repeat(900));
    };
    let first = "`origin` cannot be written as JSON: a number in it is infinite or NaN";
    let flash = "`notice` cannot be written as JSON: a number in it is infinite or NaN";
    let cases: [(&str, Change, &str); 7] = [
        ("infinite", |values| values.set_point(INFINITE), not_finite),
        ("edited", edit, not_finite),
        ("pairs", insert, "`pairs` cannot be written as JSON: key must be a string"),
        ("long", |values| values.set_long("x".repeat(2000)), "`long` takes more than 1000 bytes as JSON"),
        ("much", fill, "more than 1500 bytes with what the field `long` is set to"),
        ("first", |values| values.set_origin(f64::NEG_INFINITY), first),
        ("flash", |values| values.flash_notice(INFINITE), flash),
    ];
    let round: Change = |values| values.set_shape(Shape::Round { sizes: HashMap::from([(1, 2)]) });
    let mail: Change = |values| values.set_mail(Mail { address: "ADA".into() });
    let only_in_debug = [
        ("shape", round, "`shape` is read as something else than it was written"),
        ("mail", mail, "another value is read at `.address`"),
    ];
    let only_in_debug = only_in_debug.into_iter().filter(|_| cfg!(debug_assertions));
    for (what, to_bad, reason) in cases.into_iter().chain(only_in_debug) {
        for how in ["drop", "save"] {
            for browser in [&visitor, &app.browser()] {
                if what == "edited" && browser.cookie(COOKIE).is_none() {
                    continue;
                }
                app.events();
                let answer = browser.send(change(to_bad, how == "save")).await;
                assert_eq!((answer.status().as_u16(), answer.set_cookies().len()), (500, 0), "{how} {what}");
                let events = app.events();
                let [event] = &events[..] else { panic!("{how} {what}: one event, not {events:?}") };
                assert!(event.starts_with("CommitFailed") && event.contains(reason), "{how} {what}: {event}");
                assert_eq!(event.contains(&id.to_string()), browser.cookie(COOKIE).is_some(), "{event}");
            }
        }
    }
    assert_eq!(app.stored(id, "count").await.as_deref(), Some("1"), "nothing of those requests is written");
    assert_eq!(visitor.send(change(HALF, false)).await.text(), "2 Some(0.5)");
}

/// A number that is there or not, and is infinite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(unreachable_pub)]
pub struct Point {
    x: Option<f64>,
}

/// A tagged type whose map has keys other than text: serde writes it, and does not read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
#[allow(unreachable_pub)]
pub enum Shape {
    /// A shape with sizes.
    Round {
        /// The sizes by their numbers.
        sizes: HashMap<u32, u32>,
    },
}

/// An address that is read in lower case, so as another value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(unreachable_pub)]
pub struct Mail {
    #[serde(deserialize_with = "lower_case")]
    address: String,
}

fn lower_case<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(String::deserialize(deserializer)?.to_lowercase())
}

/// The store takes any JSON text and gives back the same value.
pub async fn the_store_keeps_any_json(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let mut values: Vec<_> = texts().iter().map(|text| serde_json::to_string(text).expect("JSON")).collect();
    values.extend(
        [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1.5",
            "1e-7",
            "[]",
            "{}",
            "[[[]]]",
            "[null,[1,\"1\"]]",
            "{\"\":0}",
            "{\"a\":{\"b\":[1,2,3]}}",
            "18446744073709551615",
            "-9223372036854775808",
            "\"\\ud83e\\udd80\"",
        ]
        .map(str::to_owned),
    );
    let id = direct.create(&[("kept", json("\"kept\""))]).await;
    for value in values {
        direct.apply(id, &[("n", Op::Put(json(&value)))]).await;
        let loaded = direct.load(id, &["n", "kept"]).await.expect("the record");
        let parsed = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
        let stored = loaded.fields.get("n").unwrap_or_else(|| panic!("{value} is gone"));
        assert_eq!(parsed(stored), parsed(value.as_bytes()), "{value}");
        assert_eq!(loaded.fields.get("kept"), Some(&json("\"kept\"")), "{value}");
        direct.apply(id, &[("n", Op::RemoveIf(stored.clone()))]).await;
        assert!(!direct.load(id, &["n"]).await.expect("the record").fields.contains("n"), "{value}");
    }
}
