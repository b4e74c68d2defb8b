//! Cells as plain values: what was done to a field, and the change that comes of it.

use super::*;
use crate::{
    __private::{plain, stored as field_of},
    slot::FieldClass,
};

/// A field, what is stored, and a cell of it.
struct Case {
    field: Field,
    fields: Fields,
    cell: Cell,
}

impl Case {
    fn new(field: Field, stored: &[(&'static str, &'static str)]) -> Self {
        let fields =
            stored.iter().map(|(name, value)| (FieldName::from_static(name), (*value).into())).collect();
        Self { field, fields, cell: Cell::default() }
    }

    fn text(stored: &[(&'static str, &'static str)]) -> Self {
        Self::new(field_of::<String>("name").aliases(&["old", "older"]), stored)
    }

    fn flash(stored: &[(&'static str, &'static str)]) -> Self {
        Self::new(field_of::<String>("name").aliases(&["old", "older"]).flash(), stored)
    }

    fn number(field: Field, stored: &[(&'static str, &'static str)]) -> Self {
        Self::new(field, stored)
    }

    /// Decodes the value, as accessors do before they work on it.
    fn read(&mut self) -> &mut Cell {
        self.cell.value(&self.field, &self.fields, &|_, _| {});
        &mut self.cell
    }

    fn shown<T: Clone + 'static>(&self) -> Option<T> {
        let value = self.cell.value(&self.field, &self.fields, &|_, _| {})?;
        value.downcast_ref::<T>().cloned()
    }

    fn change(&self) -> Option<FieldChange> {
        self.cell.change(&self.field, &self.fields).expect("a value that can be stored")
    }

    fn op(&self) -> Option<Op> {
        self.change().map(|change| change.op)
    }

    fn put<T: Send + Sync + 'static>(&mut self, value: T) {
        self.cell.put(Box::new(value));
    }

    fn merge<T: Send + Sync + 'static>(&mut self, value: T) {
        self.read();
        self.cell.merge(&self.field, Box::new(value));
    }

    fn edit<T: 'static>(&mut self, edit: impl FnOnce(&mut T)) {
        self.read();
        let value = self.cell.edit(&self.field).expect("a value");
        edit(value.downcast_mut().expect("of this type"));
    }

    fn add(&mut self, by: i64) {
        self.read();
        self.cell.add(&self.field, by);
    }

    fn remove(&mut self) {
        self.read();
        self.cell.remove(&self.field);
    }

    fn take(&mut self) -> Option<String> {
        self.read();
        self.cell.take(&self.field)?.downcast().ok().map(|value| *value)
    }

    /// Nothing is lent out of an absent `Option`.
    fn edit_absent(&mut self) {
        self.read();
        assert!(self.cell.edit(&self.field).is_none());
    }
}

fn put(value: &'static str) -> Option<Op> {
    Some(Op::Put(value.into()))
}

fn counter() -> Field {
    plain::<u8>("name").merge_add::<u8>().aliases(&["old"])
}

#[test]
fn what_is_only_read_is_no_change() {
    let mut case = Case::text(&[("name", "\"Ada\"")]);
    assert_eq!(case.change(), None);
    case.read();
    assert_eq!((case.shown::<String>().as_deref(), case.change()), (Some("Ada"), None));
    assert!(!case.cell.is_changed());
}

#[test]
fn a_value_is_found_under_its_present_name_first() {
    let shown = |stored| Case::text(stored).shown::<String>();
    assert_eq!(shown(&[("old", "\"b\""), ("name", "\"a\""), ("older", "\"c\"")]).as_deref(), Some("a"));
    assert_eq!(shown(&[("older", "\"c\""), ("old", "\"b\"")]).as_deref(), Some("b"));
    assert_eq!(shown(&[("other", "\"d\"")]), None);
    let mut case = Case::text(&[("name", "7"), ("old", "\"b\"")]);
    case.read();
    assert!(case.cell.is_undecodable() && case.shown::<String>().is_none());
}

#[test]
fn a_value_that_is_set_is_a_put() {
    let mut case = Case::text(&[("name", "7")]);
    case.put("Ada".to_owned());
    let change = case.change().expect("a change");
    assert_eq!((Some(change.op), change.aliases), (put("\"Ada\""), &["old", "older"][..]));
    assert!(!case.cell.is_undecodable(), "it need not be decoded");
    // An equal one is none only for the slot: another handle may have changed it since.
    let mut case = Case::text(&[("name", "\"Ada\"")]);
    case.put("Ada".to_owned());
    assert_eq!(case.op(), put("\"Ada\""));
}

#[test]
fn a_default_is_one_where_nothing_is_stored() {
    for (stored, value, is_default) in
        [(&[][..], 0_u32, true), (&[], 1, false), (&[("name", "5")], 0, false), (&[("old", "5")], 0, false)]
    {
        let mut case = Case::new(plain::<u32>("name").aliases(&["old"]), stored);
        case.put(value);
        assert_eq!(case.change().map(|change| change.is_default), Some(is_default), "{stored:?} {value}");
    }
}

#[test]
fn a_value_that_was_lent_out_is_a_change_if_it_differs() {
    let mut case = Case::text(&[("name", "\"Ada\"")]);
    case.edit(|_: &mut String| {});
    assert_eq!(case.change(), None);
    case.edit(|name: &mut String| name.push('!'));
    assert_eq!(case.op(), put("\"Ada!\""));
    case.edit(|name: &mut String| name.truncate(3));
    assert_eq!(case.change(), None, "it is as it was");
}

#[test]
fn a_removal_is_one_whatever_comes_after_it() {
    let mut case = Case::text(&[("name", "\"Ada\"")]);
    case.remove();
    let change = case.change().expect("a change");
    assert_eq!((change.op, change.was_removed), (Op::Remove, true));
    case.put("Bea".to_owned());
    let change = case.change().expect("a change");
    assert_eq!((Some(change.op), change.was_removed), (put("\"Bea\""), true));
    let removal = case.cell.removal(&case.field).expect("a removal");
    assert_eq!((removal.op, removal.was_removed), (Op::Remove, true));
    let mut case = Case::text(&[("name", "\"Ada\"")]);
    assert_eq!(case.take().as_deref(), Some("Ada"));
    assert_eq!(case.op(), Some(Op::Remove));
    case.edit_absent();
}

#[test]
fn a_right_that_is_edited_to_its_default_is_removed() {
    for (stored, edit, expected) in [("3", 0_u32, Some(Op::Remove)), ("3", 4, put("4")), ("0", 0, None)] {
        let mut case = Case::new(plain::<u32>("name").privilege(), &[("name", stored)]);
        case.edit(|level: &mut u32| *level = edit);
        assert_eq!(case.op(), expected, "{stored} {edit}");
        let is_removed = expected == Some(Op::Remove);
        assert_eq!(case.cell.removal(&case.field).is_some(), is_removed, "{stored} {edit}");
        assert_eq!(case.change().is_some_and(|change| change.was_removed), is_removed);
    }
    let mut case = Case::new(plain::<u32>("name"), &[("name", "3")]);
    case.edit(|level: &mut u32| *level = 0);
    assert_eq!((case.op(), case.cell.removal(&case.field)), (put("0"), None), "not a right");
    assert_eq!(Case::new(plain::<u32>("name").privilege(), &[]).field.class, FieldClass::Privilege);
}

#[test]
fn counts_add_up() {
    let add = |by, start, min, max| Some(Op::Add(Add { by, start, min, max }));
    let mut case = Case::number(counter(), &[("name", "4")]);
    case.add(2);
    case.add(3);
    assert_eq!((case.shown::<u8>(), case.op()), (Some(9), add(5, 0, 3, 255)));
    case.edit(|hits: &mut u8| *hits -= 5);
    assert_eq!((case.shown::<u8>(), case.op()), (Some(4), None), "it is as it was");
    // A sum that stopped at a bound on the way is no sum of its parts.
    let mut case = Case::number(counter(), &[("name", "250")]);
    case.add(10);
    case.add(-10);
    assert_eq!((case.shown::<u8>(), case.op()), (Some(245), add(0, 0, 0, 245)));
    // The store counts from the value under an older name, which is removed.
    let mut case = Case::number(counter(), &[("old", "7")]);
    case.add(1);
    assert_eq!((case.shown::<u8>(), case.op()), (Some(8), add(1, 7, 0, 255)));
    for stored in [&[("name", "\"text\"")][..], &[("name", "4")]] {
        let mut case = Case::number(counter(), stored);
        case.put(1_u8);
        case.add(2);
        assert_eq!(case.op(), put("3"), "set, then counted");
    }
    let mut case = Case::number(counter(), &[("name", "\"text\"")]);
    case.add(2);
    assert_eq!(case.op(), put("2"), "nothing to count from");
    let mut case = Case::number(counter(), &[("name", "4")]);
    case.remove();
    case.add(2);
    assert_eq!((case.shown::<u8>(), case.op()), (Some(2), put("2")));
}

#[test]
fn the_largest_stays() {
    let field = || plain::<u32>("name").merge_max::<u32>().aliases(&["old"]);
    let mut case = Case::number(field(), &[("name", "4")]);
    case.merge(3_u32);
    assert_eq!((case.shown::<u32>(), case.op()), (Some(4), None));
    case.merge(7_u32);
    assert_eq!((case.shown::<u32>(), case.op()), (Some(7), Some(Op::Max(7))));
    case.edit(|most: &mut u32| *most = 2);
    assert_eq!((case.shown::<u32>(), case.op()), (Some(7), Some(Op::Max(7))), "what was edited below it");
    case.edit(|most: &mut u32| *most = 9);
    assert_eq!(case.op(), Some(Op::Max(9)));
    let mut case = Case::number(field(), &[("old", "8")]);
    case.merge(9_u32);
    assert_eq!(case.op(), Some(Op::Max(9)));
    // A default is no value that could stay.
    let mut case = Case::number(plain::<u32>("name").merge_min::<u32>(), &[]);
    case.merge(5_u32);
    assert_eq!((case.shown::<u32>(), case.op()), (Some(5), Some(Op::Min(5))));
    let mut case = Case::number(field(), &[("name", "4")]);
    case.remove();
    case.merge(3_u32);
    assert_eq!(case.op(), put("3"), "after a removal");
    let mut case = Case::number(field(), &[("name", "\"text\"")]);
    case.merge(3_u32);
    assert_eq!(case.op(), put("3"), "over what does not decode");
}

#[test]
fn the_first_stays() {
    let field = || field_of::<String>("name").merge_first().aliases(&["old"]);
    let mut case = Case::new(field(), &[]);
    case.merge("Ada".to_owned());
    assert_eq!(case.op(), Some(Op::PutIfAbsent("\"Ada\"".into())));
    case.merge("Bea".to_owned());
    assert_eq!(case.op(), Some(Op::PutIfAbsent("\"Ada\"".into())));
    let mut case = Case::new(field(), &[("old", "\"Ada\"")]);
    case.edit(|name: &mut String| name.push('!'));
    assert_eq!(case.op(), None, "of an older name, too");
    assert_eq!(case.shown::<String>().as_deref(), Some("Ada"));
}

const ONE: &str = "[\"0123456789ab\",\"one\"]";
const TWO: &str = "[\"0123456789ac\",\"two\"]";

#[test]
fn a_flash_is_stored_with_a_stamp() {
    let mut case = Case::flash(&[]);
    case.put("one".to_owned());
    let change = case.change().expect("a change");
    let Op::Put(stored) = change.op else { panic!("{change:?}") };
    assert_eq!((stamp::inner(&stored), change.is_flash), (Some(&b"\"one\""[..]), true));
}

#[test]
fn a_flash_that_is_taken_goes_if_it_is_still_the_same() {
    let mut case = Case::flash(&[("name", ONE), ("old", TWO)]);
    assert_eq!(case.take().as_deref(), Some("one"));
    let change = case.change().expect("a change");
    assert_eq!((change.name.as_str(), change.op), ("name", Op::RemoveIf(ONE.into())));
    assert_eq!(change.aliases, ["old", "older"]);
    case.cell.keep(&case.field);
    assert_eq!((case.change(), case.shown::<String>().as_deref()), (None, Some("one")));
}

/// It would be shown again and again.
#[test]
fn a_flash_that_is_taken_under_an_older_name_goes_too() {
    let mut case = Case::flash(&[("old", ONE), ("older", TWO)]);
    assert_eq!(case.take().as_deref(), Some("one"));
    let change = case.change().expect("a change");
    assert_eq!((change.name.as_str(), change.op), ("old", Op::RemoveIf(ONE.into())));
    assert_eq!((change.aliases, change.is_flash), (&["older"][..], true));
    let mut case = Case::flash(&[("older", TWO)]);
    case.take();
    let change = case.change().expect("a change");
    assert_eq!((change.name.as_str(), change.aliases), ("older", &[][..]));
}

#[test]
fn a_flash_of_this_request_that_is_taken_is_none() {
    let mut case = Case::flash(&[]);
    case.put("one".to_owned());
    assert_eq!(case.take().as_deref(), Some("one"));
    assert_eq!(case.change(), None);
    case.cell.keep(&case.field);
    assert!(matches!(case.op(), Some(Op::Put(_))));
    // One that it put over another one takes that with it.
    let mut case = Case::flash(&[("name", ONE)]);
    case.put("two".to_owned());
    case.take();
    assert_eq!(case.op(), Some(Op::RemoveIf(ONE.into())));
}

#[test]
fn a_flash_for_this_request_only_lies_above_the_stored_one() {
    let mut case = Case::flash(&[("name", ONE)]);
    case.cell.show_once(Box::new("now".to_owned()));
    assert_eq!((case.shown::<String>().as_deref(), case.change()), (Some("now"), None));
    let mut left = Vec::new();
    case.cell.add_request_only_to(&mut left, &case.field).expect("a value that can be stored");
    let shown = Cell::showing(
        &case.field,
        &[(left[0].0.clone(), left[0].1.clone().expect("a value"))].into_iter().collect(),
    );
    assert!(shown.value(&case.field, &case.fields, &|_, _| {}).is_some_and(|value| value.is::<String>()));
    assert_eq!(case.take().as_deref(), Some("now"));
    assert_eq!(case.shown::<String>().as_deref(), Some("one"));
    left.clear();
    case.cell.add_request_only_to(&mut left, &case.field).expect("nothing to store");
    assert_eq!(left, [("name".into(), None)]);
    assert_eq!(case.take().as_deref(), Some("one"));
}

#[test]
fn a_change_that_is_taken_out_leaves_the_cell_as_it_was_loaded() {
    let mut case = Case::text(&[("name", "\"Ada\"")]);
    case.put("Bea".to_owned());
    let change = case.cell.take_change(&case.field, &case.fields).expect("a value that can be stored");
    assert!(change.is_some());
    assert_eq!((case.change(), case.shown::<String>().as_deref()), (None, Some("Ada")));
}

#[test]
fn a_value_that_cannot_be_stored_is_an_error() {
    let mut case = Case::new(field_of::<f64>("name"), &[]);
    case.put(f64::NAN);
    let error = case.cell.change(&case.field, &case.fields).expect_err("not finite");
    assert_eq!(error.kind(), crate::ErrorKind::InvalidField);
}
