//! The questions that a slot asks its state, one case each.

use super::{
    super::plan::tests::{
        Step::{self, *},
        rules, take, take_by, users, visitors,
    },
    *,
};
use crate::delta::Op;

#[test]
fn what_is_staged_in_any_part_is_something() {
    let change = || vec![FieldChange::new("name".into(), Op::Remove, 1)];
    let shown = || vec![("notice".into(), None)];
    let failure = || Some((1, Error::session_ended()));
    for (changes, request_only, failure, is_empty) in [
        (vec![], vec![], None, true),
        (change(), vec![], None, false),
        (vec![], shown(), None, false),
        (vec![], vec![], failure(), false),
        (change(), shown(), failure(), false),
    ] {
        assert_eq!(
            StagedChanges { changes, request_only, failure, ..StagedChanges::default() }.is_empty(),
            is_empty
        );
    }
}

#[test]
fn a_login_ends_by_its_removal_and_by_another_one() {
    let rules = rules();
    for (steps, ends) in [
        (&[][..], false),
        (&[Put("name", "2")], false),
        (&[Put("role", "2")], false),
        (&[Put("user", "7")], false),
        (&[Remove("user")], true),
        (&[Put("user", "8")], true),
        (&[Remove("user"), Put("user", "7")], true),
        (&[Clear], true),
    ] {
        let mut state = users();
        take(&mut state, &rules, steps);
        assert_eq!(state.ends_login(&rules), ends, "{steps:?}");
    }
}

/// A handle's changes that no save is to write, told from another's and from removals of rights.
#[test]
fn a_handle_has_unsaved_changes_and_removed_rights_of_its_own() {
    let rules = rules();
    let state_of = |steps: &[(u64, Step)]| {
        let mut state = users();
        take_by(&mut state, &rules, steps, 1);
        state
    };
    for (steps, is_unsaved, is_removed) in [
        (&[][..], false, false),
        (&[(2, Put("name", "2")), (2, Remove("role"))], false, false),
        (&[(1, Put("name", "2"))], true, false),
        (&[(1, Remove("role"))], false, true),
        (&[(1, Put("name", "2")), (1, Remove("role"))], true, true),
    ] {
        let state = state_of(steps);
        let found = (state.has_unsaved(1), state.has_removed_rights_of(1));
        assert_eq!(found, (is_unsaved, is_removed), "{steps:?}");
    }
    let mut state = state_of(&[(1, Put("name", "2"))]);
    state.log.mark_for_save(1, None);
    assert!(!state.has_unsaved(1), "a save writes them");
}

/// Of a handle that panics the removals of rights stay, and all that a save is to write; another's changes are its own.
#[test]
fn a_handle_that_gives_up_leaves_what_others_did() {
    let rules = rules();
    let steps = [(1, Put("name", "2")), (1, Remove("role")), (2, Put("cart", "2"))];
    let left = |state: &RequestState| {
        let fields = state.log.changes().iter().filter_map(PendingChange::field);
        fields.map(|field| field.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    let mut state = users();
    take_by(&mut state, &rules, &steps, 1);
    state.keep_removed_rights_of(1, &rules);
    assert_eq!(left(&state), ["role", "cart"]);
    let mut state = users();
    take_by(&mut state, &rules, &steps, 1);
    state.log.mark_for_save(1, None);
    state.keep_removed_rights_of(1, &rules);
    assert_eq!(left(&state), ["name", "role", "cart"]);
}

#[test]
fn fields_are_forgotten_and_the_record_is_not() {
    let mut state = visitors();
    state.forget_fields(&[]);
    assert!(state.live().is_some_and(|live| live.fields.is_empty()));
    let mut state = users();
    let indexed = rules().all(|class| class == FieldClass::Identity);
    state.forget_fields(&indexed);
    let left: Vec<_> =
        state.live().into_iter().flat_map(|live| live.fields.iter()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(left, ["user"], "a touch keeps its entry");
}

#[test]
fn a_record_covers_the_views_whose_fields_it_has() {
    let rules = rules();
    let names = [FieldName::from_static("name")];
    let mut state = visitors();
    assert!(!state.covers(&names, &rules), "its rights are still to be examined by these rules");
    if let RecordState::Live(live) = &mut state.record {
        live.examined = rules.number();
    }
    assert!(state.covers(&names, &rules));
    if let RecordState::Live(live) = &mut state.record {
        live.names = Some(vec!["cart".into()]);
    }
    assert!(!state.covers(&names, &rules));
}
