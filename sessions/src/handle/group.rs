//! Groups: fields that share a version, so that a change of one is refused if another of them was changed meanwhile.
//!
//! The version is a stored field of its own. A write that changes a field of the group replaces it by a random stamp, if
//! it still is the one that the handle saw.

use super::stamp;
use crate::{
    delta::Op,
    error::Error,
    slot::FieldChange,
    value::{FieldName, Fields},
};

/// Adds the change of a group's version to those of one of its fields, which begin at this index. What leaves the field
/// as it is, is dropped.
pub(super) fn add_version(
    changes: &mut Vec<FieldChange>,
    first: usize,
    version: &'static str,
    fields: &Fields,
) -> Result<(), Error> {
    let mut at = None;
    let mut index = first;
    while let Some(change) = changes.get(index) {
        if is_change(change, fields) {
            at = at.max(Some(change.at));
            index += 1;
        } else {
            changes.remove(index);
        }
    }
    let (Some(at), Some(change)) = (at, changes.get(first)) else { return Ok(()) };
    let class = change.class;
    if let Some(known) = changes.iter_mut().find(|change| change.name.as_str() == version) {
        known.at = known.at.max(at);
        return Ok(());
    }
    let op = Op::ReplaceIf { expected: fields.get(version).cloned(), value: Some(stamp::alone()?) };
    let change = FieldChange::new(FieldName::from_static(version), op, at);
    changes.push(FieldChange { class, declared: class, ..change });
    Ok(())
}

/// True if a field is then another than the handle saw.
fn is_change(change: &FieldChange, fields: &Fields) -> bool {
    let stored = fields.get(change.name.as_str());
    let is_absent = || stored.is_none() && !change.aliases.iter().any(|alias| fields.contains(alias));
    match &change.op {
        Op::Put(value) => stored != Some(value) && !(change.is_default && is_absent()),
        Op::Remove => !is_absent(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const VERSION: &str = "__version.cart";

    fn put(name: &'static str, at: u64, value: &'static str) -> FieldChange {
        FieldChange::new(FieldName::from_static(name), Op::Put(value.into()), at)
    }

    fn loaded() -> Fields {
        let fields = [("items", "[1]"), ("total", "5"), (VERSION, "\"old\"")];
        fields.into_iter().map(|(name, value)| (name.into(), Bytes::from(value))).collect()
    }

    #[test]
    fn two_fields_of_a_group_change_its_version_once() {
        let mut changes = vec![put("items", 3, "[2]")];
        add_version(&mut changes, 0, VERSION, &loaded()).unwrap();
        let Op::ReplaceIf { expected, value: Some(first) } = changes[1].op.clone() else {
            panic!("{changes:?}")
        };
        assert_eq!((expected, changes[1].at), (Some("\"old\"".into()), 3));
        changes.push(put("total", 7, "9"));
        add_version(&mut changes, 2, VERSION, &loaded()).unwrap();
        assert_eq!((changes.len(), changes[1].at), (3, 7), "{changes:?}");
        let mut again = vec![put("items", 3, "[2]")];
        add_version(&mut again, 0, VERSION, &loaded()).unwrap();
        let Op::ReplaceIf { value: Some(second), .. } = &again[1].op else { panic!("{again:?}") };
        assert_ne!(first, *second, "each change has a version of its own");
    }

    #[test]
    fn what_changes_no_field_leaves_the_version() {
        let remove = FieldChange::new("gone".into(), Op::Remove, 2);
        let default = FieldChange { is_default: true, ..put("new", 3, "0") };
        for change in [put("items", 1, "[1]"), remove, default] {
            let mut changes = vec![put("other", 0, "1"), change];
            add_version(&mut changes, 1, VERSION, &loaded()).unwrap();
            assert_eq!(changes, [put("other", 0, "1")]);
        }
        let mut changes = vec![FieldChange::new("total".into(), Op::Remove, 2)];
        add_version(&mut changes, 0, VERSION, &Fields::new()).unwrap();
        assert_eq!(changes, []);
        let mut changes = vec![FieldChange::new("total".into(), Op::Remove, 2)];
        add_version(&mut changes, 0, VERSION, &loaded()).unwrap();
        assert_eq!(changes.len(), 2);
    }
}
