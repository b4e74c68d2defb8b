//! Every attribute, alone and together.
#![deny(warnings)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sessions::{Session, TypedSession};

const LIMIT: u16 = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

/// Not for serde.
#[derive(Clone, Debug, Default, PartialEq)]
struct Foreign(u8);

mod foreign {
    use super::*;

    pub fn serialize<S: Serializer>(foreign: &Foreign, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(foreign.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Foreign, D::Error> {
        u8::deserialize(deserializer).map(Foreign)
    }
}

#[derive(Session)]
#[session(namespace = "all", rename_all = "kebab-case", crate = "::sessions", handle = "AllSession")]
struct All {
    #[session(default)]
    default_of_type: u8,
    #[session(default = 5)]
    default_literal: u16,
    #[session(default = LIMIT.max(3), rename = "l")]
    default_expression: u16,
    #[session(default = if LIMIT > 3 { "many" } else { "few" }.to_owned())]
    default_block: String,
    #[session(default = vec![1, 2], merge = "last")]
    default_macro: Vec<u8>,
    #[session(default = (|| Foreign(7))(), with = "foreign")]
    default_foreign: Foreign,
    #[session(rename = "with space and ünïcode")]
    renamed: u8,
    #[session(alias = "older", alias = "oldest")]
    aliased: u8,
    #[session(skip)]
    skipped: Foreign,
    #[session(skip)]
    skipped_option: Option<Foreign>,
    #[session(skip, default = Foreign(1))]
    skipped_default: Foreign,
    #[session(with = "foreign")]
    with_plain: Foreign,
    #[session(with = "self::foreign", on_invalid = "reject")]
    with_option: Option<Foreign>,
    #[flash]
    #[session(with = "crate::foreign", rename = "f", alias = "old_f", accessor = "flashed")]
    with_flash: Option<Foreign>,
    #[session(merge = "last")]
    last: String,
    #[session(merge = "first")]
    first: Option<Point>,
    #[session(merge = "first", default = 3)]
    first_plain: u8,
    #[session(merge = "add")]
    add: i64,
    #[session(merge = "add", default = 100)]
    add_from: u64,
    #[session(merge = "max")]
    max: Option<u32>,
    #[session(merge = "min", default = u32::MAX)]
    min: u32,
    #[session(merge = "cas", alias = "places")]
    cas: Option<u32>,
    #[session(group = "cart", secret)]
    in_group: Vec<u32>,
    #[session(group = "cart")]
    in_group_too: u32,
    #[session(once, secret, keep_on_logout, alias = "code")]
    once: Option<String>,
    #[session(on_invalid = "reset")]
    reset: u8,
    #[session(on_invalid = "reject")]
    reject: u8,
    #[session(privilege)]
    right: Option<String>,
    #[session(privilege, merge = "last", on_invalid = "reset", default = 1)]
    level: u8,
    #[session(secret, merge = "last")]
    secret: Vec<u8>,
    #[session(secret, with = "foreign", alias = "sécret", on_invalid = "reset", drop_on_login)]
    secret_option: Option<Foreign>,
    #[flash]
    #[session(secret)]
    secret_flash: Option<String>,
    #[session(secret, privilege, default = 1)]
    secret_right: u8,
    #[session(merge = "entries", alias = "basket", keep_on_logout)]
    cart: HashMap<u64, u32>,
    #[session(merge = "entries", entry = "add", on_invalid = "reject")]
    votes: BTreeMap<String, i64>,
    #[session(merge = "entries", secret, drop_on_login)]
    tokens: BTreeMap<String, Point>,
    #[session(merge = "entries")]
    tags: BTreeSet<String>,
    #[session(merge = "append", keep_last = LIMIT as usize)]
    log: Vec<Point>,
    #[flash]
    #[session(keep_last = 3)]
    notices: Vec<String>,
    #[session(copy)]
    copied: Point,
    #[session(copy, accessor = "position")]
    copied_option: Option<Point>,
    #[flash]
    #[session(copy)]
    copied_flash: Option<Point>,
}

fn handler(mut session: TypedSession<All>) -> AllSession {
    let point: Point = session.copied();
    session.set_position(point);
    let _: Option<Point> = session.position();
    session.flash_copied_flash(point);
    let _: Option<Point> = session.copied_flash();
    session.flash_flashed(Foreign(1));
    let _: Option<&Foreign> = session.flashed();
    session.cart_mut().insert(42, 2);
    *session.cart_mut().entry(7).or_default() += 1;
    session.cart_mut().retain(|_, amount| *amount > 0);
    session.set_votes(session.votes().clone());
    session.reset_votes();
    session.log_mut().push(point);
    let _: &[Point] = session.log();
    session.flash_notices("Saved");
    let _: &[String] = session.notices();
    session.keep_notices();
    let _: Vec<String> = session.take_notices();
    session.discard_notices();
    session.add_add(-1);
    session.add_add_from(1);
    session.set_max(3);
    session.set_skipped(session.with_plain().clone());
    let All { default_block, skipped_option, .. } = session.snapshot();
    session.set_default_block(default_block);
    skipped_option.into_iter().for_each(|foreign| session.set_skipped_option(foreign));
    session
}

async fn waiting(mut session: TypedSession<All>) -> Result<u32, sessions::Error> {
    session.set_once("2");
    let _: Option<String> = session.claim_once().await?;
    let _: Option<Foreign> = session.claim_flashed().await?;
    session
        .update(|session| {
            session.in_group_mut().push(1);
            session.set_in_group_too(session.in_group_too() + 1);
            session.set_cas(3);
            session.in_group_too()
        })
        .await
}

fn main() {
    let _ = waiting;
    let _ = handler;
}
