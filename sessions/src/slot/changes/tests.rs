//! The rules of the log: what stays of changes, and what comes too late.

use super::*;
use crate::{delta::Add, error::Error, slot::compose::compose};

fn change(name: &'static str, at: u64, op: Op) -> FieldChange {
    FieldChange::new(FieldName::from_static(name), op, at)
}

fn put(name: &'static str, at: u64, value: &'static str) -> FieldChange {
    change(name, at, Op::Put(value.into()))
}

fn right(change: FieldChange) -> FieldChange {
    FieldChange { class: FieldClass::Privilege, declared: FieldClass::Privilege, ..change }
}

fn identity(change: FieldChange) -> FieldChange {
    FieldChange { class: FieldClass::Identity, declared: FieldClass::Identity, ..change }
}

fn flash(change: FieldChange) -> FieldChange {
    FieldChange { is_flash: true, ..change }
}

fn enter(log: &mut ChangeLog, by: u64, changes: impl IntoIterator<Item = FieldChange>) {
    for change in changes {
        log.insert(PendingChange::new(by, change.at, Action::Change(change)));
    }
}

/// The pending changes: their handles, fields and times. A clear is a field without a name.
fn shown(log: &ChangeLog) -> Vec<(u64, &str, u64)> {
    log.changes
        .iter()
        .map(|change| (change.by, change.field().map_or("", |field| field.name.as_str()), change.at))
        .collect()
}

fn value(log: &ChangeLog, name: &str) -> Option<String> {
    let mut fields = Fields::new();
    let composed = compose(log, log.changes(), &RecordState::Absent, &Rules::default());
    composed.delta.apply(&mut fields).expect("integers");
    fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn changes_stand_in_the_order_in_which_they_were_made() {
    let mut log = ChangeLog::default();
    enter(&mut log, 2, [put("name", 3, "3"), put("name", 1, "1")]);
    enter(&mut log, 1, [put("name", 2, "2")]);
    assert_eq!(shown(&log), [(2, "name", 1), (1, "name", 2), (2, "name", 3)]);
    assert_eq!(value(&log, "name").as_deref(), Some("3"));
}

#[test]
fn a_second_clear_in_a_row_takes_no_room() {
    let mut log = ChangeLog::default();
    log.clear(1, 1);
    log.clear(1, 2);
    assert_eq!(shown(&log), [(1, "", 2)]);
    log.clear(2, 3);
    assert_eq!(shown(&log), [(1, "", 2), (2, "", 3)]);
    log.mark_for_save(2, None);
    log.clear(2, 4);
    assert_eq!(log.size(), 3, "what a save is to write stays");
}

#[test]
fn a_save_is_of_one_handle_and_of_what_it_names() {
    let mut log = ChangeLog::default();
    enter(&mut log, 1, [put("name", 1, "1"), put("hits", 2, "1")]);
    enter(&mut log, 2, [put("other", 3, "1")]);
    log.mark_for_save(1, Some(&"hits".into()));
    assert_eq!(log.unsaved_fields(1), ["name".into()]);
    assert_eq!(log.unsaved_fields(2), ["other".into()]);
    log.mark_for_save(1, None);
    assert!(log.unsaved_fields(1).is_empty());
}

/// Put back again and again while a handler goes on saving, it takes no more room and comes to the same. What another
/// handle did in between stays in between.
#[test]
fn what_is_put_back_is_folded() {
    let one = Op::Add(Add { by: 1, start: 0, min: 0, max: 1_000_000 });
    let mut log = ChangeLog::default();
    for round in 0..1000 {
        let name = Op::Put(round.to_string().into());
        enter(&mut log, 1, [change("name", 3 * round, name), change("hits", 3 * round + 1, one.clone())]);
        let changes = log.take();
        log.put_back(changes);
        assert_eq!(log.size(), 2);
    }
    assert_eq!((value(&log, "name"), value(&log, "hits")), (Some("999".into()), Some("1000".into())));
    enter(&mut log, 2, [put("hits", 3000, "5")]);
    enter(&mut log, 1, [change("hits", 3001, one)]);
    let changes = log.take();
    log.put_back(changes);
    assert_eq!(log.size(), 4);
    assert_eq!(value(&log, "hits").as_deref(), Some("6"));
}

/// Changes that are folded, and others that are not: the order of other changes matters.
#[test]
fn only_what_comes_to_the_same_is_folded() {
    let removed = |at| right(FieldChange { was_removed: true, ..change("role", at, Op::Remove) });
    let granted = |at| right(put("role", at, "1"));
    let old = |at| FieldChange { aliases: &["name"], ..put("renamed", at, "1") };
    for (changes, left) in [
        (vec![put("name", 1, "1"), put("name", 2, "2")], 1),
        (vec![put("name", 1, "1"), put("other", 2, "2"), put("name", 3, "3")], 2),
        (vec![change("name", 1, Op::Max(1)), change("name", 2, Op::Max(2))], 1),
        (vec![change("name", 1, Op::Min(1)), change("name", 2, Op::Max(2))], 2),
        (
            vec![
                change("name", 1, Op::PutIfAbsent("1".into())),
                change("name", 2, Op::PutIfAbsent("2".into())),
            ],
            1,
        ),
        (vec![put("name", 1, "1"), change("name", 2, Op::Max(2))], 2),
        // A right stands between.
        (vec![put("name", 1, "1"), granted(2), put("name", 3, "3")], 3),
        (vec![removed(1), put("name", 2, "1"), removed(3)], 3),
        (vec![removed(1), right(change("level", 2, Op::Remove)), removed(3)], 2),
        (vec![granted(1), removed(2)], 2),
        // So does another name of the field.
        (vec![put("name", 1, "1"), old(2), put("name", 3, "3")], 3),
    ] {
        let mut log = ChangeLog::default();
        enter(&mut log, 1, changes.clone());
        let taken = log.take();
        log.put_back(taken);
        assert_eq!(log.size(), left, "{changes:?}");
    }
}

/// A change that is sent once is dropped if its write fails, and takes no earlier change of its handle with it.
#[test]
fn a_change_that_is_sent_once_absorbs_nothing() {
    let add = |at| change("hits", at, Op::Add(Add { by: 1, start: 0, min: 0, max: 9 }));
    let mut log = ChangeLog::default();
    enter(&mut log, 1, [add(1)]);
    let once = PendingChange::new(1, 2, Action::Change(add(2)));
    log.put_back(vec![PendingChange { is_once: true, ..once }]);
    assert_eq!(shown(&log), [(1, "hits", 1), (1, "hits", 2)]);
}

#[test]
fn a_default_that_follows_on_another_value_is_a_change() {
    let default = |at| FieldChange { is_default: true, ..put("name", at, "1") };
    for (earlier, is_default) in [(default(1), true), (put("name", 1, "2"), false)] {
        let mut log = ChangeLog::default();
        enter(&mut log, 1, [earlier, default(2)]);
        let changes = log.take();
        log.put_back(changes);
        assert_eq!(shown(&log), [(1, "name", 2)]);
        assert_eq!(log.changes[0].field().map(|field| field.is_default), Some(is_default));
    }
}

#[test]
fn a_clear_absorbs_all_but_flashes_and_grants() {
    let mut log = ChangeLog::default();
    enter(
        &mut log,
        1,
        [
            flash(put("notice", 1, "1")),
            right(put("role", 2, "1")),
            put("name", 3, "1"),
            right(change("level", 4, Op::Remove)),
        ],
    );
    log.clear(1, 5);
    let changes = log.take();
    log.put_back(changes);
    assert_eq!(shown(&log), [(1, "notice", 1), (1, "role", 2), (1, "", 5)]);
}

#[test]
fn the_fold_keeps_that_a_right_was_removed() {
    let mut log = ChangeLog::default();
    let removed = right(FieldChange { was_removed: true, ..change("role", 1, Op::Remove) });
    enter(&mut log, 1, [removed, right(change("role", 2, Op::Remove))]);
    let changes = log.take();
    log.put_back(changes);
    assert!(log.changes[0].field().is_some_and(|field| field.was_removed));
}

#[test]
fn what_another_handle_did_before_a_write_comes_too_late() {
    let one = || Op::Add(Add { by: 1, start: 0, min: 0, max: 9 });
    for (written, late, is_late) in [
        (put("name", 5, "1"), put("name", 4, "2"), true),
        (put("name", 5, "1"), put("name", 6, "2"), false),
        (put("name", 5, "1"), put("other", 4, "2"), false),
        // A count counts whenever it was made, unless the field was set after it.
        (put("name", 5, "1"), change("name", 4, one()), true),
        (change("name", 5, one()), change("name", 4, one()), false),
        (change("name", 5, one()), put("name", 4, "2"), true),
    ] {
        let mut log = ChangeLog::default();
        log.note_written(&[PendingChange::new(1, written.at, Action::Change(written.clone()))], &[]);
        assert_eq!(log.is_overwritten(&late), is_late, "{written:?} {late:?}");
    }
}

#[test]
fn what_was_done_before_a_reset_comes_too_late() {
    let kept = || vec![FieldName::from("cart")];
    for (scope, name, is_ended, is_flash_ended) in [
        (ResetScope::AllBut(kept()), "name", true, true),
        (ResetScope::AllBut(kept()), "cart", false, false),
        (ResetScope::AllButFlashesAnd(kept()), "name", true, false),
        (ResetScope::AllButFlashesAnd(kept()), "cart", false, false),
        (ResetScope::These(kept()), "name", false, false),
        (ResetScope::These(kept()), "cart", true, true),
        (ResetScope::Flashes, "name", false, true),
    ] {
        let mut log = ChangeLog::default();
        let reset = FieldReset { at: 5, scope: scope.clone(), is_logout: false };
        log.note_written(&[], &[reset]);
        for (at, is_before) in [(4, true), (6, false)] {
            let change = put(name, at, "1");
            assert_eq!(log.is_reset_since(&change), is_before && is_ended, "{scope:?} {name} {at}");
            let flashed = flash(change);
            assert_eq!(log.is_reset_since(&flashed), is_before && is_flash_ended, "{scope:?} {name} {at}");
        }
    }
}

#[test]
fn resets_of_one_kind_take_the_room_of_one() {
    let mut log = ChangeLog::default();
    for at in [3, 9, 5] {
        log.note_written(&[], &[FieldReset { at, scope: ResetScope::Flashes, is_logout: at == 3 }]);
    }
    assert_eq!((log.size(), log.follows_login()), (1, true));
    assert!(log.is_reset_since(&flash(put("notice", 8, "1"))), "the latest counts");
}

#[test]
fn another_record_begins_with_the_flashes_only() {
    let mut log = ChangeLog::default();
    let saved = flash(put("saved", 1, "1"));
    log.note_written(&[PendingChange::new(1, 1, Action::Change(saved))], &[]);
    enter(&mut log, 2, [put("name", 2, "1"), change("other", 3, Op::Remove), flash(put("notice", 4, "1"))]);
    log.insert(PendingChange::new(2, 5, Action::Invalid(Error::session_ended())));
    log.clear(2, 6);
    let fields = [("saved".into(), "1".into())].into_iter().collect();
    assert_eq!(log.restart(false, &fields), ["name".into()]);
    assert_eq!(shown(&log), [(0, "saved", 1), (2, "notice", 4)]);
    assert!(!log.follows_login() && log.flashed_before().is_empty());
}

#[test]
fn a_record_after_a_login_follows_it() {
    let login = || identity(put("user", 1, "7"));
    for (ended_login, changes, follows) in [
        (false, vec![], false),
        (true, vec![], true),
        (false, vec![login()], true),
        (false, vec![identity(change("user", 1, Op::Remove))], false),
    ] {
        let mut log = ChangeLog::default();
        enter(&mut log, 1, changes);
        log.restart(ended_login, &Fields::new());
        assert_eq!(log.follows_login(), follows);
        log.restart(false, &Fields::new());
        assert_eq!(log.follows_login(), follows, "for the whole request");
    }
}

#[test]
fn removals_of_rights_are_taken_out_of_what_is_meant() {
    let (record, rules) = (RecordState::Absent, Rules::default());
    let mut log = ChangeLog::default();
    enter(
        &mut log,
        1,
        [put("name", 1, "1"), right(change("role", 2, Op::Remove)), right(put("level", 3, "1"))],
    );
    enter(&mut log, 2, [put("other", 4, "1")]);
    log.keep_removed_rights(|change| change.by == 1, &record, &rules);
    assert_eq!(shown(&log), [(1, "role", 2), (2, "other", 4)]);

    log.clear(2, 5);
    enter(&mut log, 2, [right(put("level", 6, "1"))]);
    let taken = log.take_removed_rights(&record, &rules);
    assert_eq!(taken.len(), 1);
    assert!(taken[0].is_removed_right());
    assert_eq!(shown(&log), [(2, "other", 4), (2, "", 5)], "the rest is still to be done, but no grant");
}
