//! The rules of planning, one case each: a record and changes, and the write that comes of them.

use std::time::Duration;

use super::*;
use crate::{
    clock::Stopwatch,
    delta::Add,
    slot::{
        field_rules::{FieldClass, OnInvalid, Rule},
        options::SessionOptions,
        pending_change::Action,
        record::LiveRecord,
        request::RequestFacts,
        request_state::StagedChanges,
    },
    value::{Authority, FieldName, Proof, RecordId, Secret, Timeouts, Timestamp, TokenHasher},
};

/// The rules of views: `user` is the identity, or `account` in one of them, `role` and `level` are rights, `cart` outlives a logout, `guest` does
/// not outlive a login.
pub(in crate::slot) fn rules() -> Rules {
    let rule = |name, class| Rule {
        name,
        aliases: &[],
        class,
        is_secret: false,
        is_collection: false,
        on_invalid: OnInvalid::Withhold,
        decode: |json| serde_json::from_slice::<serde_json::Value>(json).map(|value| Box::new(value) as _),
    };
    let rules = Rules::default();
    rules.add(
        [
            rule("user", FieldClass::Identity),
            rule("account", FieldClass::Identity),
            rule("role", FieldClass::Privilege),
            rule("level", FieldClass::Privilege),
            rule("cart", FieldClass::KeepOnLogout),
            rule("guest", FieldClass::DropOnLogin),
        ]
        .into_iter(),
    );
    rules
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

pub(in crate::slot) fn id() -> RecordId {
    RecordId::from_bytes([7; 16])
}

/// A request whose record has these fields and rights.
fn with_record(fields: &[(&'static str, &'static str)], rights: &[&'static str]) -> RequestState {
    let secret = Secret::from_bytes([1; 32]);
    let mut authority = Authority::new(TokenHasher::new("sid").hash(&id(), &secret));
    authority.rights = rights.iter().map(|name| FieldName::from_static(name)).collect();
    if rights.contains(&"user") {
        (authority.identity, authority.proof) = (Some(FieldName::from_static("user")), Proof::AtCreation);
    }
    let live = LiveRecord {
        id: id(),
        epoch: 3,
        credentials: authority.credentials(),
        authority,
        secret,
        renewed: None,
        ends_renewal: false,
        timeouts: Timeouts::default(),
        created: NOW,
        touched: NOW,
        loaded_at: NOW,
        since: Stopwatch::default().start(),
        began_here: false,
        fields: fields.iter().map(|(name, value)| (FieldName::from_static(name), (*value).into())).collect(),
        names: None,
        opened: Vec::new(),
        examined: 0,
        is_withheld: false,
    };
    RequestState { record: RecordState::Live(Box::new(live)), ..visitor() }
}

/// A request without a record.
pub(in crate::slot) fn visitor() -> RequestState {
    RequestState { record: RecordState::Absent, ..RequestState::new(RequestFacts::default()) }
}

/// A visitor's record.
pub(in crate::slot) fn visitors() -> RequestState {
    with_record(&[("name", "1"), ("cart", "1"), ("guest", "1")], &[])
}

/// The record of a user.
pub(in crate::slot) fn users() -> RequestState {
    with_record(&[("user", "7"), ("role", "1"), ("name", "1"), ("cart", "1")], &["user", "role"])
}

/// The handler's actions in a case.
#[derive(Clone, Copy, Debug)]
pub(in crate::slot) enum Step {
    Put(&'static str, &'static str),
    /// A put by a view that does not declare the field's class.
    PutUndeclared(&'static str, &'static str),
    /// A put of the field's default.
    PutDefault(&'static str, &'static str),
    Remove(&'static str),
    /// A put after a removal by the same handle.
    RemoveAndPut(&'static str, &'static str),
    Add(&'static str, i64),
    Flash(&'static str, &'static str),
    Take(&'static str, &'static str),
    Clear,
    /// A value that cannot be stored.
    Invalid,
    Rotate,
    Renew,
}

use Step::*;

/// Has handles take these steps, one after another.
pub(in crate::slot) fn take_by(state: &mut RequestState, rules: &Rules, steps: &[(u64, Step)], from: u64) {
    for (at, (by, step)) in (from..).zip(steps) {
        let change = |name: &'static str, op| {
            let change = FieldChange::new(FieldName::from_static(name), op, at);
            let class = state.class(&change, rules);
            FieldChange { class, declared: class, ..change }
        };
        let put = |value: &'static str| Op::Put(value.into());
        let change = match *step {
            Put(name, value) => change(name, put(value)),
            PutUndeclared(name, value) => {
                FieldChange { declared: FieldClass::Plain, ..change(name, put(value)) }
            }
            PutDefault(name, value) => FieldChange { is_default: true, ..change(name, put(value)) },
            Remove(name) => FieldChange { was_removed: true, ..change(name, Op::Remove) },
            RemoveAndPut(name, value) => FieldChange { was_removed: true, ..change(name, put(value)) },
            Add(name, by) => change(name, Op::Add(Add { by, start: 0, min: 0, max: 99 })),
            Flash(name, value) => FieldChange { is_flash: true, ..change(name, put(value)) },
            Take(name, value) => FieldChange { is_flash: true, ..change(name, Op::RemoveIf(value.into())) },
            Clear => {
                state.clear(*by, at);
                continue;
            }
            Invalid => {
                let failure = Some((at, Error::invalid_field(&"name".into(), "is not finite")));
                state.enter(*by, StagedChanges { failure, ..StagedChanges::default() });
                continue;
            }
            Rotate => {
                state.requested.rotation = true;
                continue;
            }
            Renew => {
                state.requested.renewal = true;
                continue;
            }
        };
        state.enter(*by, StagedChanges { changes: vec![change], ..StagedChanges::default() });
    }
}

pub(in crate::slot) fn take(state: &mut RequestState, rules: &Rules, steps: &[Step]) {
    let steps: Vec<_> = steps.iter().map(|step| (1, *step)).collect();
    take_by(state, rules, &steps, 1);
}

fn names(names: &[FieldName]) -> String {
    names.iter().map(FieldName::as_str).collect::<Vec<_>>().join(",")
}

/// A write as text: the fields that stay, the operations, what becomes of the secret, and the rights.
fn shown(write: &PlannedWrite) -> String {
    let mut parts: Vec<_> = write
        .delta
        .ops()
        .iter()
        .map(|(name, op)| match op {
            Op::Put(value) => format!("{}={}", name.as_str(), String::from_utf8_lossy(value)),
            Op::Remove => format!("-{}", name.as_str()),
            Op::RemoveIf(_) => format!("-{}?", name.as_str()),
            Op::Add(add) => format!("{}+{}", name.as_str(), add.by),
            other => format!("{} {other:?}", name.as_str()),
        })
        .collect();
    parts.sort_unstable();
    if let Some(retained) = write.delta.retained() {
        parts.insert(0, format!("only({})", names(retained)));
    }
    let rights = names(&write.rights.names);
    let identity = write.rights.identity.as_ref();
    assert!(identity.is_none_or(|identity| write.rights.names.contains(identity)), "{write:?}");
    format!("{} | {:?} | {rights}", parts.join(" "), write.secret_change)
}

fn planned(state: &mut RequestState, rules: &Rules) -> Plan {
    state.plan(Selection::All, rules).expect("no failure").expect("something to write")
}

#[track_caller]
fn check(mut state: RequestState, steps: &[Step], expected: &str) -> Plan {
    let rules = rules();
    take(&mut state, &rules, steps);
    let plan = planned(&mut state, &rules);
    assert_eq!(shown(&plan.write), expected, "{steps:?}");
    assert!(state.log.is_empty() && plan.failure.is_none());
    plan
}

#[test]
fn fields_are_written_as_they_changed() {
    check(visitors(), &[Put("name", "2")], "name=2 | None | ");
    check(visitors(), &[Put("name", "2"), Put("name", "3"), Put("new", "1")], "name=3 new=1 | None | ");
    check(visitors(), &[Remove("name")], "-name | None | ");
    check(visitors(), &[Add("name", 2), Add("name", 3)], "name+5 | None | ");
    check(visitor(), &[Put("name", "2")], "name=2 | None | ");
}

#[test]
fn what_changes_nothing_is_not_written() {
    let rules = rules();
    for steps in [
        &[][..],
        &[Put("name", "1")],
        &[Put("name", "2"), Put("name", "1")],
        &[Remove("new")],
        &[PutDefault("new", "0")],
    ] {
        let mut state = visitors();
        take(&mut state, &rules, steps);
        assert!(state.plan(Selection::All, &rules).expect("no failure").is_none(), "{steps:?}");
        assert!(state.log.is_empty());
    }
    // A default is one only where nothing is stored.
    check(visitors(), &[PutDefault("name", "0")], "name=0 | None | ");
    let mut state = visitor();
    take(&mut state, &rules, &[Put("name", "1"), Remove("name"), Clear]);
    assert!(state.plan(Selection::All, &rules).expect("no failure").is_none(), "no empty record");
}

#[test]
fn only_fields_that_outlive_a_logout_are_written_to_another_epoch() {
    for (steps, is_kept_only) in [
        (&[Put("cart", "2")][..], true),
        (&[Put("cart", "2"), Put("name", "2")], false),
        (&[Put("cart", "2"), Clear], false),
        (&[Put("cart", "2"), Put("role", "2")], false),
    ] {
        let rules = rules();
        let mut state = users();
        take(&mut state, &rules, steps);
        assert_eq!(planned(&mut state, &rules).write.is_kept_only, is_kept_only, "{steps:?}");
    }
}

#[test]
fn a_login_keeps_all_but_what_does_not_outlive_it() {
    check(visitors(), &[Put("user", "7")], "-guest user=7 | Login | user");
    check(
        visitors(),
        &[Put("guest", "2"), Put("name", "2"), Put("user", "7")],
        "-guest name=2 user=7 | Login | user",
    );
    check(visitors(), &[Put("user", "7"), Put("guest", "2")], "guest=2 user=7 | Login | user");
    check(visitor(), &[Put("guest", "1"), Put("user", "7")], "user=7 | Login | user");
    check(visitors(), &[Put("user", "7"), Put("role", "1")], "-guest role=1 user=7 | Login | user,role");
    // A visitor's right stays.
    let with_level = with_record(&[("level", "2")], &["level"]);
    check(with_level, &[Put("user", "7")], "-guest user=7 | Login | level,user");
    // As it was loaded is not enough: another request may have set it since.
    check(
        visitors(),
        &[Put("user", "7"), Put("guest", "1"), Remove("guest")],
        "-guest user=7 | Login | user",
    );
}

#[test]
fn a_logout_keeps_what_outlives_it_and_nothing_else() {
    let plan = check(users(), &[Remove("user")], "only(cart) | Logout | ");
    assert!(plan.lost.is_empty() && plan.taken.resets[0].is_logout);
    let plan = check(
        users(),
        &[Put("cart", "2"), Put("name", "2"), Put("role", "2"), Remove("user")],
        "only(cart) cart=2 | Logout | ",
    );
    assert_eq!(names(&plan.lost), "name");
    check(users(), &[Remove("user"), Put("name", "2")], "only(cart) name=2 | Logout | ");
    // A field that one view keeps and the record calls a right is a right.
    let with_cart = with_record(&[("user", "7"), ("cart", "1")], &["user", "cart"]);
    check(with_cart, &[Remove("user")], "only() | Logout | ");
}

#[test]
fn another_user_begins_with_what_outlives_a_logout() {
    let plan = check(users(), &[Put("name", "2"), Put("user", "8")], "only(cart) user=8 | Logout | user");
    assert_eq!(names(&plan.lost), "name");
    check(users(), &[Put("user", "8"), Put("name", "2")], "only(cart) name=2 user=8 | Logout | user");
    check(users(), &[Remove("user"), Put("user", "8")], "only(cart) -guest user=8 | Logout | user");
    check(users(), &[RemoveAndPut("user", "7")], "only(cart) user=7 | Logout | user");
    check(users(), &[PutUndeclared("user", "7")], "only(cart) user=7 | Logout | ");
    // A view that knows the user by another name.
    check(users(), &[Put("account", "7")], "only(cart) account=7 | Logout | account");
    check(visitors(), &[Put("account", "7")], "-guest account=7 | Login | account");
}

#[test]
fn what_ends_a_secret_or_takes_a_right_away_goes_on() {
    for (steps, is_rotation, takes_away) in [
        (&[Put("name", "2")][..], false, false),
        (&[Rotate], true, false),
        (&[Put("role", "2")], true, false),
        (&[Remove("role")], true, true),
    ] {
        let rules = rules();
        let mut state = users();
        take(&mut state, &rules, steps);
        let Plan { write, removal, .. } = planned(&mut state, &rules);
        assert_eq!((write.secret_change.is_rotation(), removal.is_some()), (is_rotation, takes_away));
        assert_eq!(write.must_go_on(removal.is_some()), is_rotation || takes_away, "{steps:?}");
    }
    // A removal after the response keeps the secret.
    let rules = rules();
    let mut state = RequestState { head_sent: true, ..users() };
    take(&mut state, &rules, &[Remove("role")]);
    let plan = planned(&mut state, &rules);
    assert!(plan.part == WritePart::Removals && plan.write.must_go_on(plan.removal.is_some()));
    let alone = PlannedWrite { secret_change: SecretChange::None, ..plan.write };
    assert!(alone.must_go_on(true) && !alone.must_go_on(false));
}

#[test]
fn the_same_user_proves_who_they_are() {
    check(users(), &[Put("user", "7")], " | Reauthentication | role,user");
    check(users(), &[Put("user", "7"), Put("role", "2")], "role=2 | Reauthentication | user,role");
    check(users(), &[Rotate, Put("user", "7")], " | Reauthentication | role,user");
}

#[test]
fn a_right_changes_with_the_secret() {
    check(users(), &[Put("role", "2")], "role=2 | Rotation | user,role");
    check(users(), &[Put("role", "1")], " | Rotation | user,role");
    check(users(), &[Remove("role")], "-role | Rotation | user");
    check(users(), &[Put("level", "2")], "level=2 | Rotation | user,role,level");
    check(visitors(), &[Put("role", "2")], "role=2 | Rotation | role");
    check(visitors(), &[Remove("role")], " | Rotation | ");
    // Only a view that declares a right grants it.
    check(users(), &[PutUndeclared("role", "2")], "role=2 | Rotation | user");
    check(users(), &[Rotate], " | Rotation | user,role");
}

/// The rules of [`rules`], of which `cart` and `guest` are collections.
fn rules_of_collections() -> Rules {
    let (of_fields, rules) = (rules(), Rules::default());
    let is_collection = |rule: &Rule| ["cart", "guest"].contains(&rule.name);
    rules.add(
        of_fields.all(|_| true).into_iter().map(|rule| Rule { is_collection: is_collection(&rule), ..rule }),
    );
    rules
}

#[test]
fn entries_of_a_collection_share_its_fate() {
    let rules = rules_of_collections();
    let entries =
        &[("name", "1"), ("cart[a]", "1"), ("cart[b]", "1"), ("cart2[a]", "1"), ("guest[a]", "1")][..];
    let with_user = [&[("user", "7")], entries].concat();
    let visitors = || with_record(entries, &[]);
    let users = || with_record(&with_user, &["user"]);
    for (mut state, steps, expected, lost) in [
        // Whatever was loaded: entries that another request puts meanwhile go too.
        (visitors(), &[Put("user", "7")][..], "-guest -guest[ user=7 | Login | user", ""),
        (
            visitors(),
            &[Put("guest[b]", "2"), Put("cart[c]", "2"), Put("user", "7")],
            "-guest -guest[ cart[c]=2 user=7 | Login | user",
            "",
        ),
        (
            visitors(),
            &[Put("user", "7"), Put("guest[a]", "1"), Put("guest[b]", "2"), Remove("guest[b]")],
            "-guest -guest[ guest[a]=1 user=7 | Login | user",
            "",
        ),
        (visitor(), &[Put("guest[a]", "1"), Put("user", "7")], "user=7 | Login | user", ""),
        (
            users(),
            &[Put("cart[c]", "2"), Put("cart2[a]", "2"), Put("guest[b]", "1"), Remove("user")],
            "only(cart,cart[) cart[c]=2 | Logout | ",
            "cart2[a],guest[b]",
        ),
        (users(), &[Remove("cart[a]"), Remove("user")], "only(cart,cart[) -cart[a] | Logout | ", ""),
        (users(), &[Remove("user"), Put("cart2[a]", "1")], "only(cart,cart[) cart2[a]=1 | Logout | ", ""),
        (users(), &[Put("cart[a]", "2"), Clear], "only() | Logout | ", ""),
        (users(), &[Clear, Put("cart[a]", "1")], "only() cart[a]=1 | Logout | ", ""),
    ] {
        take(&mut state, &rules, steps);
        let plan = planned(&mut state, &rules);
        assert_eq!((shown(&plan.write).as_str(), names(&plan.lost).as_str()), (expected, lost), "{steps:?}");
    }
    let mut state = users();
    take(&mut state, &rules, &[Put("cart[a]", "2"), Add("cart[d]", 1)]);
    let write = planned(&mut state, &rules).write;
    assert!(write.is_kept_only);
    // What a login drops makes room for what comes with it.
    let size =
        |fields: &[(&str, &str)]| fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let mut login = visitors();
    take(&mut login, &rules, &[Put("name", "12345"), Put("user", "7890")]);
    let after = size(entries) - size(&[("guest[a]", "1")]) + 4 + size(&[("user", "7890")]);
    assert_eq!(planned(&mut login, &rules).write.grows_to, after);
    assert_eq!(write.grown.map(|grown| (grown.name, grown.entries)), Some(("cart".into(), 3)));
    // What another handle changed before a reset that is written comes too late.
    let mut state = users();
    take(&mut state, &rules, &[Remove("user")]);
    let taken = planned(&mut state, &rules).taken;
    state.log.note_written(&taken.changes, &taken.resets);
    take_by(&mut state, &rules, &[(2, Put("cart2[a]", "5")), (2, Put("cart[a]", "5"))], 0);
    assert_eq!(shown(&planned(&mut state, &rules).write), "cart[a]=5 | None | user");
}

/// What a request knows of a collection it knows of each entry.
#[test]
fn a_prefix_name_that_was_loaded_is_not_missing() {
    let mut state = with_record(&[("cart[a]", "1"), ("cart[b]", "1"), ("name", "1")], &[]);
    let RecordState::Live(live) = &mut state.record else { panic!("a record") };
    let asked = ["cart", "cart[", "cart[a]", "cart[c]", "cart2["].map(FieldName::from);
    assert!(live.missing(&asked).is_empty(), "all fields are here");
    assert_eq!(names(&live.with_names(&asked)), "cart[,name,cart,cart2[");
    live.names = Some(["name", "cart["].map(FieldName::from).to_vec());
    assert_eq!(names(&live.missing(&asked)), "cart,cart2[");
    assert_eq!(names(&live.with_names(&asked)), "name,cart[,cart,cart2[");
    live.names = Some(["cart[a]"].map(FieldName::from).to_vec());
    assert_eq!(names(&live.missing(&asked)), "cart,cart[,cart[c],cart2[");
    let stored: Vec<_> =
        live.stored(&["cart[", "car", "name", "nam", "cart[a]"].map(FieldName::from)).collect();
    assert_eq!(
        stored,
        ["cart[a]", "cart[b]", "name", "cart[a]"].map(FieldName::from).iter().collect::<Vec<_>>()
    );
}

#[test]
fn a_clear_removes_all_and_ends_the_rights() {
    check(visitors(), &[Put("name", "2"), Clear], "only() | None | ");
    check(visitors(), &[Clear, Put("name", "2")], "only() name=2 | None | ");
    check(users(), &[Clear], "only() | Logout | ");
    check(with_record(&[("level", "2")], &["level"]), &[Clear], "only() | Rotation | ");
    // The user who has just logged in is a visitor again.
    check(visitors(), &[Put("user", "7"), Clear], "only() | None | ");
}

#[test]
fn a_flash_reaches_the_next_page_of_the_same_user() {
    check(users(), &[Flash("notice", "1"), Remove("user")], "only(cart) notice=1 | Logout | ");
    check(users(), &[Remove("user"), Flash("notice", "1")], "only(cart) notice=1 | Logout | ");
    check(visitors(), &[Flash("notice", "1"), Put("user", "7")], "-guest notice=1 user=7 | Login | user");
    check(visitors(), &[Flash("notice", "1"), Clear], "only() notice=1 | None | ");
    let plan = check(users(), &[Flash("notice", "1"), Put("user", "8")], "only(cart) user=8 | Logout | user");
    assert_eq!(names(&plan.lost), "notice");
    let steps = [Flash("notice", "1"), Remove("user"), Put("user", "8")];
    let plan = check(users(), &steps, "only(cart) -guest user=8 | Logout | user");
    assert_eq!(names(&plan.lost), "notice");
    // A flash that the request takes again is none.
    check(users(), &[Flash("notice", "1"), Remove("notice"), Remove("user")], "only(cart) | Logout | ");
}

/// A flash that a save has written is the request's own, too.
#[test]
fn a_flash_that_was_saved_outlives_a_logout() {
    for (steps, expected) in [
        (&[Remove("user")][..], "only(cart,notice) | Logout | "),
        (&[Put("user", "8")], "only(cart) user=8 | Logout | user"),
        (&[Clear], "only(notice) | Logout | "),
    ] {
        let rules = rules();
        let mut state = users();
        take(&mut state, &rules, &[Flash("notice", "1")]);
        let taken = planned(&mut state, &rules).taken;
        state.log.note_written(&taken.changes, &taken.resets);
        let steps: Vec<_> = steps.iter().map(|step| (1, *step)).collect();
        take_by(&mut state, &rules, &steps, 10);
        assert_eq!(shown(&planned(&mut state, &rules).write), expected);
    }
}

#[test]
fn a_login_that_cannot_be_read_ends_with_the_next_change_of_rights() {
    let withheld = || {
        let mut state = users();
        if let Some(live) = state.record.live_mut(id()) {
            live.is_withheld = true;
            live.fields = [(FieldName::from_static("cart"), "1".into())].into_iter().collect();
        }
        state
    };
    check(withheld(), &[Put("name", "2")], "name=2 | None | user,role");
    check(withheld(), &[Put("level", "2")], "only(cart) level=2 | Logout | level");
    check(withheld(), &[Put("user", "8")], "only(cart) -guest user=8 | Logout | user");
}

/// The user of a view that knows them by another name.
#[test]
fn a_login_under_another_name_is_another_user() {
    let rules = rules();
    let mut state = users();
    let change = FieldChange {
        class: FieldClass::Identity,
        declared: FieldClass::Identity,
        ..FieldChange::new("account".into(), Op::Put("8".into()), 1)
    };
    state.enter(1, StagedChanges { changes: vec![change], ..StagedChanges::default() });
    let write = planned(&mut state, &rules).write;
    assert_eq!(write.secret_change, SecretChange::Logout);
    assert_eq!(write.delta.retained().map(names).as_deref(), Some("cart"));
    assert_eq!(write.rights.identity, Some("account".into()));
}

#[test]
fn an_alias_is_removed_with_every_write() {
    let rules = rules();
    for (op, expected) in
        [(Op::Put("2".into()), "-old name=2 | None | "), (Op::Remove, "-name -old | None | ")]
    {
        let mut state = with_record(&[("name", "1"), ("old", "1")], &[]);
        let change = FieldChange { aliases: &["old"], ..FieldChange::new("name".into(), op, 1) };
        state.enter(1, StagedChanges { changes: vec![change], ..StagedChanges::default() });
        assert_eq!(shown(&planned(&mut state, &rules).write), expected);
    }
}

/// A value that cannot be stored keeps no right that was taken away.
#[test]
fn a_rotation_has_a_fallback() {
    for (steps, expected) in [
        (&[Put("name", "2"), Remove("role")][..], Some("-role | Rotation | user")),
        (&[Put("name", "2"), Remove("user")], Some("only(cart) | Logout | ")),
        (&[Put("role", "2")], None),
        (&[Put("role", "2"), Rotate], Some(" | Rotation | user,role")),
        (&[Put("name", "2"), Clear], Some("only(cart) | Logout | ")),
    ] {
        let rules = rules();
        let mut state = users();
        take(&mut state, &rules, steps);
        let plan = planned(&mut state, &rules);
        assert_eq!(plan.fallback.as_deref().map(shown).as_deref(), expected, "{steps:?}");
        let takes_away = steps.iter().any(|step| matches!(step, Remove(_) | Clear));
        assert_eq!(plan.removal.is_some(), takes_away, "{steps:?}");
        assert_eq!(plan.part, WritePart::All, "{steps:?}");
    }
    assert_eq!(check(users(), &[Remove("role")], "-role | Rotation | user").part, WritePart::OnlyRemovals);
}

#[test]
fn a_failing_request_takes_away_and_writes_nothing_else() {
    let rules = rules();
    for (steps, expected) in [
        (&[Put("name", "2"), Remove("role")][..], Some("-role | Rotation | user")),
        (&[RemoveAndPut("role", "2")], Some("-role | Rotation | user")),
        (&[Put("user", "8")], None),
        (&[Put("cart", "2"), Remove("user"), Put("user", "8")], Some("only(cart) | Logout | ")),
        (&[Put("name", "2"), Clear], Some("only(cart) | Logout | ")),
        (&[Put("name", "2"), Rotate], Some(" | Rotation | user,role")),
        (&[Put("name", "2"), Invalid], None),
    ] {
        let mut state = users();
        take(&mut state, &rules, steps);
        state.discard(&rules);
        let plan = state.plan(Selection::All, &rules).expect("no failure");
        assert_eq!(plan.map(|plan| shown(&plan.write)).as_deref(), expected, "{steps:?}");
    }
}

#[test]
fn a_refused_request_grants_nothing() {
    let rules = rules();
    for (steps, dropped, expected) in [
        (&[Put("name", "2"), Put("role", "2")][..], "role", Some("name=2 | None | user,role")),
        (&[Put("name", "2"), Put("user", "8"), Put("cart", "2")], "user", Some("name=2 | None | user,role")),
        (&[Put("user", "8"), Remove("role")], "user", Some("-role | Rotation | user")),
        (&[Put("user", "8"), Invalid], "user", None),
        (&[Put("user", "8"), Clear], "user", Some("only() | Logout | ")),
        (&[RemoveAndPut("role", "2")], "role", Some("-role | Rotation | user")),
        (&[Remove("user"), Put("name", "2")], "", Some("only(cart) name=2 | Logout | ")),
    ] {
        let mut state = users();
        take(&mut state, &rules, steps);
        assert_eq!(names(&state.log.drop_grants()), dropped, "{steps:?}");
        let plan = state.plan(Selection::All, &rules).expect("no failure");
        assert_eq!(plan.map(|plan| shown(&plan.write)).as_deref(), expected, "{steps:?}");
    }
}

/// It fails with what its own handle did; what other handles did is still to come.
#[test]
fn what_cannot_be_stored_fails_with_its_own_handle() {
    let rules = rules();
    let mut state = users();
    take_by(&mut state, &rules, &[(1, Put("name", "2")), (2, Invalid), (2, Put("cart", "2"))], 1);
    let failure = state.plan(Selection::All, &rules).expect_err("a failure");
    assert_eq!((failure.of, failure.error.kind()), (Some(2), ErrorKind::InvalidField));
    assert_eq!(shown(&planned(&mut state, &rules).write), "name=2 | None | user,role");

    // But a right that it took away goes with the failure.
    take_by(&mut state, &rules, &[(1, Put("name", "3")), (2, Invalid), (2, Remove("role"))], 10);
    let plan = planned(&mut state, &rules);
    assert_eq!(shown(&plan.write), "-role | Rotation | user");
    assert_eq!(plan.failure.and_then(|failure| failure.of), Some(2));
    assert_eq!(shown(&planned(&mut state, &rules).write), "name=3 | None | user,role");

    let mut state = users();
    take(&mut state, &rules, &[Put("name", "\"text\""), Add("name", 1)]);
    assert_eq!(state.plan(Selection::All, &rules).expect_err("no integer").of, Some(1));
}

#[test]
fn a_late_request_gets_no_secret_and_takes_rights_away_by_themselves() {
    let rules = rules();
    let mut state = users();
    state.head_sent = true;
    take(&mut state, &rules, &[Put("name", "2"), Remove("role")]);
    let plan = planned(&mut state, &rules);
    assert_eq!((shown(&plan.write).as_str(), plan.part), ("-role | Rotation | user", WritePart::Removals));
    let plan = planned(&mut state, &rules);
    assert_eq!(shown(&plan.write), "name=2 | None | user,role");
    assert!(matches!(plan.write.target, WriteTarget::Record { touch: true, .. }), "a late write is a use");

    // A grant is refused when it is staged. One that was staged before is dropped.
    take(&mut state, &rules, &[Put("role", "2")]);
    assert!(state.plan(Selection::All, &rules).expect("no failure").is_none());
    state.requested.rotation = true;
    let failure = state.plan(Selection::All, &rules).expect_err("a failure");
    assert_eq!((failure.of, failure.error.kind()), (None, ErrorKind::HeadSent));

    let mut state = visitor();
    state.head_sent = true;
    take(&mut state, &rules, &[Put("name", "2")]);
    assert_eq!(state.plan(Selection::All, &rules).expect_err("no cookie").error.kind(), ErrorKind::HeadSent);
}

#[test]
fn a_request_with_a_replaced_secret_begins_nothing_but_a_login() {
    let rules = rules();
    let superseded = || RequestState {
        record: RecordState::Superseded { id: id(), options: SessionOptions::default() },
        ..visitor()
    };
    let mut state = superseded();
    take(&mut state, &rules, &[Put("name", "2")]);
    assert_eq!(state.plan(Selection::All, &rules).expect_err("a conflict").error.kind(), ErrorKind::Conflict);
    let plan = check(superseded(), &[Put("user", "7")], "user=7 | Login | user");
    assert_eq!(plan.write.target, WriteTarget::New);
}

#[test]
fn a_request_that_may_lack_its_cookie_begins_no_session() {
    let rules = rules();
    for (step, spares_response) in [(Put("name", "2"), true), (Put("user", "7"), false)] {
        let request = RequestFacts { may_lack_cookie: true, ..RequestFacts::default() };
        let mut state = RequestState { request, ..visitor() };
        take(&mut state, &rules, &[step]);
        let failure = state.plan(Selection::All, &rules).expect_err("refused");
        assert_eq!(failure.error.kind(), ErrorKind::CrossSite);
        assert_eq!(failure.spares_response, spares_response);
    }
}

#[test]
fn a_flash_that_no_user_sees_is_not_taken() {
    let rules = rules();
    let record = || with_record(&[("notice", "1")], &[]);
    check(record(), &[Take("notice", "1")], "-notice? | None | ");
    let request = RequestFacts { is_unseen: true, ..RequestFacts::default() };
    let mut state = RequestState { request, ..record() };
    take(&mut state, &rules, &[Take("notice", "1")]);
    assert!(state.plan(Selection::All, &rules).expect("no failure").is_none());
}

#[test]
fn a_use_is_noted_when_it_is_due() {
    let rules = rules();
    let later = |without_touch| {
        let mut state = users();
        if let Some(live) = state.record.live_mut(id()) {
            live.loaded_at = NOW.saturating_add(Duration::from_hours(2));
        }
        state.requested.without_touch = without_touch;
        state
    };
    assert!(planned(&mut later(false), &rules).write.is_only_touch());
    assert!(later(true).plan(Selection::All, &rules).expect("no failure").is_none());
    let mut state = later(true);
    take(&mut state, &rules, &[Put("name", "2")]);
    assert!(matches!(planned(&mut state, &rules).write.target, WriteTarget::Record { touch: false, .. }));
}

#[test]
fn a_renewal_is_for_rights_and_after_a_while() {
    let rules = rules();
    let aged = |mut state: RequestState| {
        if let Some(live) = state.record.live_mut(id()) {
            live.loaded_at = NOW.saturating_add(Duration::from_mins(2));
        }
        state
    };
    check(aged(users()), &[Renew], " | Renewal | user,role");
    check(aged(users()), &[Renew, Put("name", "2")], "name=2 | Renewal | user,role");
    check(aged(users()), &[Renew, Put("role", "2")], "role=2 | Rotation | user,role");
    for (mut state, step) in [(users(), Renew), (aged(visitors()), Renew), (aged(users()), Put("name", "1"))]
    {
        take(&mut state, &rules, &[step]);
        assert!(state.plan(Selection::All, &rules).expect("no failure").is_none(), "{step:?}");
    }
}

#[test]
fn a_record_grows_by_what_is_put() {
    let rules = rules();
    let size = "name".len() + 1 + "cart".len() + 1 + "guest".len() + 1;
    for (steps, grows_to) in [
        (&[Put("new", "12")][..], size + "new12".len()),
        (&[Put("name", "12")], size + 1),
        (&[Put("name", "2")], 0),
        (&[Remove("guest"), Put("new", "1")], 0),
        (&[Remove("a_name_that_is_longer_than_all")], 0),
        (&[Clear, Put("new", "1")], 0),
    ] {
        let mut state = visitors();
        take(&mut state, &rules, steps);
        let grown =
            state.plan(Selection::All, &rules).expect("no failure").map_or(0, |plan| plan.write.grows_to);
        assert_eq!(grown, grows_to, "{steps:?}");
    }
}

#[test]
fn an_emptied_collection_makes_room() {
    let mut state = visitors();
    let Some(live) = state.record.live_mut(id()) else { panic!("a record") };
    live.fields.insert("list[1]".into(), Bytes::from_static(b"12345"));
    let mut delta = Delta::new();
    delta.push("list[".into(), Op::Remove, None).unwrap();
    for (value, is_growth) in [("12345", false), ("123456", true)] {
        delta.push("list[2]".into(), Op::Put(value.into()), None).unwrap();
        assert_eq!(state.grows_to(&delta) > 0, is_growth, "{value}");
    }
}

/// A change that its handle waits for, as a count is.
fn count(state: &mut RequestState, by: u64, at: u64) -> FieldChange {
    let op = Op::Add(Add { by: 1, start: 0, min: 0, max: 99 });
    let change = FieldChange::new("hits".into(), op, at);
    let pending = PendingChange::new(by, at, Action::Change(change.clone()));
    state.log.insert(PendingChange { is_for_save: true, is_once: true, ..pending });
    change
}

#[test]
fn a_field_is_written_by_itself_with_what_is_pending_of_it() {
    let rules = rules();
    let mut state = users();
    take(&mut state, &rules, &[Add("hits", 4), Put("name", "2"), Rotate]);
    let change = count(&mut state, 2, 10);
    let plan = state.plan(Selection::FieldOf(&change), &rules).expect("no failure").expect("a plan");
    assert_eq!(shown(&plan.write), "hits+5 | None | user,role");
    // What failed for certain is tried again, but for the count: its handle knows.
    let error = Error::unavailable("down");
    assert!(!state.put_back(plan.taken, &error, &rules));
    assert!(state.requested.rotation);
    assert_eq!(shown(&planned(&mut state, &rules).write), "hits+4 name=2 | Rotation | user,role");
}

/// Also if the record would be as it was: the handle asks what the store has.
#[test]
fn a_count_is_written_though_it_changes_nothing() {
    let rules = rules();
    let mut state = with_record(&[("hits", "4")], &[]);
    take(&mut state, &rules, &[Put("hits", "3")]);
    let change = count(&mut state, 1, 10);
    let plan = state.plan(Selection::FieldOf(&change), &rules).expect("no failure").expect("a plan");
    assert!(plan.write.delta.is_empty());
}

#[test]
fn a_count_that_cannot_be_written_leaves_the_rest() {
    let rules = rules();
    let mut state = users();
    take(&mut state, &rules, &[Put("name", "2"), Put("hits", "\"text\"")]);
    let change = count(&mut state, 1, 10);
    let failure = state.plan(Selection::FieldOf(&change), &rules).expect_err("no integer");
    assert_eq!((failure.error.kind(), failure.stays_pending), (ErrorKind::InvalidField, false));
    assert_eq!(state.log.changes().len(), 2);

    // An earlier change of the field that fails stays, and is reported when it is to be written again.
    take_by(&mut state, &rules, &[(2, Add("hits", 1))], 20);
    let change = count(&mut state, 1, 30);
    let failure = state.plan(Selection::FieldOf(&change), &rules).expect_err("no integer");
    assert!(failure.stays_pending);
    assert_eq!(state.log.changes().len(), 3);
}

#[test]
fn what_was_discarded_meanwhile_is_not_put_back() {
    let rules = rules();
    let mut state = users();
    take_by(&mut state, &rules, &[(1, Put("name", "2")), (2, Put("cart", "2"))], 1);
    let plan = planned(&mut state, &rules);
    state.discard_changes_of(1);
    take_by(&mut state, &rules, &[(1, Put("new", "1"))], 10);
    assert!(state.put_back(plan.taken, &Error::unavailable("down"), &rules));
    assert_eq!(shown(&planned(&mut state, &rules).write), "cart=2 new=1 | None | user,role");
    // Only while the write was on its way.
    take_by(&mut state, &rules, &[(1, Put("name", "2"))], 20);
    let plan = planned(&mut state, &rules);
    assert!(state.put_back(plan.taken, &Error::unavailable("down"), &rules));
    assert_eq!(shown(&planned(&mut state, &rules).write), "name=2 | None | user,role");
}

/// It was answered with an error, or its request is over.
#[test]
fn what_was_answered_is_not_put_back_but_for_removals() {
    let rules = rules();
    for is_detached in [false, true] {
        let mut state = users();
        take(&mut state, &rules, &[Put("name", "2"), Remove("role"), Rotate]);
        let plan = planned(&mut state, &rules);
        (state.head_sent, state.is_detached) = (!is_detached, is_detached);
        assert!(!state.put_back(plan.taken, &Error::unavailable("down"), &rules));
        assert_eq!(state.log.changes().len(), 1);
        assert!(state.log.changes()[0].is_removed_right());
        assert_eq!(state.requested.rotation, is_detached);
    }
}

#[test]
fn a_save_shares_the_fate_of_the_plan_that_takes_it_along() {
    let rules = rules();
    let mut state = users();
    take(&mut state, &rules, &[Put("name", "2")]);
    state.log.mark_for_save(1, None);
    let save = state.saves.stage(1);
    let plan = planned(&mut state, &rules);
    assert!(state.put_back(plan.taken, &Error::unavailable("down"), &rules));
    assert!(save.get().is_none(), "it waits again");
    let plan = planned(&mut state, &rules);
    state.lose(plan.taken, &Error::outcome_unknown("lost"));
    let result = save.get().expect("a result");
    assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::OutcomeUnknown));
    assert!(state.saves.take_failure(1).is_some(), "if the handle has given it up");

    // With nothing to write it is done.
    let save = state.saves.stage(1);
    assert!(state.plan(Selection::All, &rules).expect("no failure").is_none());
    assert!(save.get().is_some_and(|result| result.is_ok()));
}

/// A save that a plan of a part did not take along hears that its changes are lost.
#[test]
fn a_save_hears_of_a_part_that_was_lost() {
    let rules = rules();
    let mut state = users();
    state.head_sent = true;
    take(&mut state, &rules, &[Remove("role")]);
    state.log.mark_for_save(1, None);
    let (save, other) = (state.saves.stage(1), state.saves.stage(2));
    let plan = planned(&mut state, &rules);
    assert_eq!(plan.part, WritePart::Removals);
    assert!(save.get().is_none());
    state.lose(plan.taken, &Error::outcome_unknown("lost"));
    assert!(save.get().is_some_and(|result| result.is_err()));
    assert!(other.get().is_none(), "it waits");
}
