//! From a commit, or a new record, to the entries that it needs. Plain values, no I/O.

use std::time::Duration;

use bytes::Bytes;

use super::{super::field_rules::Rule, IndexedValue, SLACK};
use crate::{
    delta::{Delta, Op},
    slot::FieldClass,
    value::{Fields, Timeouts, Timestamp},
};

/// An entry that a commit needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexStep {
    pub(super) value: IndexedValue,
    /// True if the commit puts the value; false if the record has it.
    pub(super) is_put: bool,
    /// True if the value says who is logged in.
    pub(super) is_identity: bool,
}

/// The entries for a commit of this delta to a record with these fields. `extends` is true if the record then lives
/// longer.
pub(super) fn of_commit(
    rules: &[Rule],
    purpose: &str,
    delta: &Delta,
    loaded: &Fields,
    extends: bool,
) -> Vec<IndexStep> {
    let steps = rules.iter().filter_map(|rule| {
        let (value, is_put) = value_after(rule, delta, loaded)?;
        (is_put || extends).then(|| step(rule, purpose, &value, is_put))
    });
    once_each(steps)
}

/// The entries for a new record of these fields.
pub(super) fn of_fields(rules: &[Rule], purpose: &str, fields: &Fields) -> Vec<IndexStep> {
    let steps = rules.iter().filter_map(|rule| {
        let (_, value) = rule.stored(fields)?;
        Some(step(rule, purpose, value, true))
    });
    once_each(steps)
}

/// The time for which an entry is kept whose record has these timeouts and is used now.
pub(super) fn keep_for(timeouts: &Timeouts) -> Duration {
    let now = Timestamp::from_millis(0);
    timeouts.deadline(now, now).saturating_since(now).saturating_add(SLACK)
}

fn step(rule: &Rule, purpose: &str, value: &Bytes, is_put: bool) -> IndexStep {
    let value = IndexedValue::new(purpose, rule.names().collect(), value.clone(), rule.class.is_right());
    IndexStep { value, is_put, is_identity: rule.class == FieldClass::Identity }
}

/// The value that a field has after a delta, and true if the delta puts it.
fn value_after(rule: &Rule, delta: &Delta, loaded: &Fields) -> Option<(Bytes, bool)> {
    rule.names().find_map(|name| match delta.ops().iter().find(|(known, _)| *known == name) {
        Some((_, Op::Put(value) | Op::PutIfAbsent(value))) => Some((value.clone(), true)),
        Some(_) => None,
        None if delta.drops(&name) => None,
        None => loaded.get(name.as_str()).map(|value| (value.clone(), false)),
    })
}

/// Several views may have a rule for one field.
fn once_each(steps: impl Iterator<Item = IndexStep>) -> Vec<IndexStep> {
    let mut once: Vec<IndexStep> = Vec::new();
    for step in steps {
        match once.iter_mut().find(|known| known.value.key == step.value.key) {
            Some(known) => {
                known.is_put |= step.is_put;
                known.is_identity |= step.is_identity;
            }
            None => once.push(step),
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        slot::OnInvalid,
        value::{FieldName, IndexKey},
    };

    const USER: Rule = Rule {
        name: "user",
        aliases: &["uid"],
        class: FieldClass::Identity,
        is_secret: false,
        is_indexed: true,
        is_collection: false,
        on_invalid: OnInvalid::Withhold,
        decode: |_| Ok(Box::new(())),
    };

    fn fields(pairs: &[(&'static str, &'static str)]) -> Fields {
        pairs
            .iter()
            .map(|(name, value)| (FieldName::from_static(name), Bytes::from_static(value.as_bytes())))
            .collect()
    }

    fn key(value: &str) -> IndexKey {
        IndexKey::new("sid", "user", value.as_bytes())
    }

    fn steps(ops: &[(&'static str, Op)], loaded: &Fields, extends: bool) -> Vec<(IndexKey, bool)> {
        let mut delta = Delta::new();
        for (name, op) in ops {
            delta.force(FieldName::from_static(name), op.clone());
        }
        let steps = of_commit(&[USER, USER], "sid", &delta, loaded, extends);
        steps.into_iter().map(|step| (step.value.key, step.is_put)).collect()
    }

    #[test]
    fn what_is_put_needs_an_entry_and_what_is_there_if_it_lives_longer() {
        let put = |value: &'static str| Op::Put(Bytes::from_static(value.as_bytes()));
        let (none, one) = (Fields::new(), fields(&[("user", "1")]));
        assert_eq!(steps(&[("user", put("2"))], &one, false), [(key("2"), true)]);
        assert_eq!(steps(&[("other", put("2"))], &one, false), []);
        assert_eq!(steps(&[("other", put("2"))], &one, true), [(key("1"), false)]);
        assert_eq!(steps(&[("user", Op::Remove)], &one, true), []);
        assert_eq!(steps(&[], &none, true), []);
    }

    #[test]
    fn a_value_under_an_older_name_is_the_fields() {
        let old = fields(&[("uid", "1")]);
        assert_eq!(steps(&[], &old, true), [(key("1"), false)]);
        let put = Op::Put(Bytes::from_static(b"2"));
        assert_eq!(steps(&[("uid", put)], &Fields::new(), false), [(key("2"), true)]);
        let new = of_fields(&[USER], "sid", &old);
        assert_eq!(
            new.iter().map(|step| (step.value.key, step.is_identity)).collect::<Vec<_>>(),
            [(key("1"), true)]
        );
    }

    #[test]
    fn what_a_logout_drops_has_no_entry() {
        let mut delta = Delta::new();
        delta.retain(Vec::new());
        assert_eq!(of_commit(&[USER], "sid", &delta, &fields(&[("user", "1")]), true), []);
    }

    #[test]
    fn an_entry_outlives_its_record() {
        let hour = Duration::from_hours(1);
        let timeouts = Timeouts::new(hour, 2 * hour);
        assert!(keep_for(&timeouts) > hour + timeouts.touch_window());
        assert_eq!(keep_for(&Timeouts::new(hour, hour)), hour + SLACK);
    }
}
