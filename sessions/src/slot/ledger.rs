//! What the handles of a request did to its session, until it is written.

use super::{
    rules::{Rules, Standing},
    state::Phase,
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    value::FieldName,
};

/// What the handles of a request did, in the order in which they did it.
///
/// They hand it over when they are dropped, which says nothing about when they did what; so each
/// deed has a number of the request's own count. What becomes of the record is put together from
/// the deeds when it is needed, so that one of them can still be taken back.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    deeds: Vec<Deed>,
    /// What this request has written already: earlier changes of other handles come too late.
    written: Vec<Written>,
    ends: Vec<End>,
}

/// When a field that was written was changed.
#[derive(Debug)]
struct Written {
    name: FieldName,
    at: u64,
    /// The last time that it was set or removed, whatever was there.
    absolutely_at: u64,
}

/// Something that ended fields, whatever was in them.
#[derive(Clone, Debug)]
pub(super) struct End {
    at: u64,
    of: Ended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// All but these.
    AllBut(Vec<FieldName>),
    These(Vec<FieldName>),
}

/// Something that a handle did.
#[derive(Debug)]
pub(super) struct Deed {
    by: u64,
    at: u64,
    /// Whether a save was asked to write it.
    is_to_be_saved: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Change(FieldChange),
    /// All fields are removed.
    Clear,
    /// A change that cannot be stored: the commit fails with it.
    Failure(Error),
}

/// What was done to one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldChange {
    pub(crate) name: FieldName,
    pub(crate) op: Op,
    /// Older names, which go with every operation: the present one wins.
    pub(crate) aliases: &'static [&'static str],
    /// Whether a put is of the value that the field has anyway if nothing is stored.
    pub(crate) is_default: bool,
    /// What the field is to whoever uses the session: with a right, a new secret goes with the change.
    pub(crate) standing: Standing,
    /// Whether it was removed at some time, whatever came after that.
    pub(crate) was_removed: bool,
    /// When it was done, in the request's own count.
    pub(crate) at: u64,
}

/// What becomes of a record.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) delta: Delta,
    pub(super) rotation: Rotation,
    /// Whether nothing but fields that belong to the browser changes.
    pub(super) is_carry_only: bool,
    /// What ended fields.
    pub(super) ends: Vec<End>,
    /// Fields that go whatever was loaded, unless they are set after that.
    dropped: Vec<FieldName>,
    /// The first change that cannot be stored, which is not in the delta, and whose it is.
    pub(super) failure: Option<(u64, Error)>,
}

/// Whether a new secret goes with it, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rotation {
    #[default]
    None,
    /// The same powers, by time or because somebody asked for it.
    Renewal,
    /// Somebody asked for it, or a right changes.
    Hard,
    /// Somebody proves again who it is.
    Proof,
    /// Somebody logs in who was nobody before.
    Login,
    /// Somebody logs out, or turns into somebody else.
    Logout,
}

impl FieldChange {
    /// All names under which the field may be stored.
    pub(super) fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        let aliases = self.aliases.iter().map(|alias| FieldName::from_static(alias));
        [self.name.clone()].into_iter().chain(aliases)
    }

    /// What is left of it where nothing may be granted: the removal of a right.
    pub(super) fn into_removed_right(self) -> Option<Self> {
        let was_removed = self.standing.is_right() && (self.was_removed || self.op == Op::Remove);
        was_removed.then(|| Self { op: Op::Remove, is_default: false, was_removed: true, ..self })
    }
}

impl Ledger {
    pub(super) fn is_empty(&self) -> bool {
        self.deeds.is_empty()
    }

    /// Enters what a handle hands over.
    pub(super) fn enter(&mut self, by: u64, changes: Vec<FieldChange>, failure: Option<(u64, Error)>) {
        for change in changes {
            self.insert(Deed::new(by, change.at, What::Change(change)));
        }
        if let Some((at, error)) = failure {
            self.insert(Deed::new(by, at, What::Failure(error)));
        }
    }

    /// Enters that all fields are removed.
    pub(super) fn clear(&mut self, by: u64, at: u64) {
        // Between two in a row of one handle there is nothing that the second does not remove.
        self.deeds.pop_if(|last| last.is_of(by) && !last.is_to_be_saved && last.at < at && last.is_clear());
        self.insert(Deed::new(by, at, What::Clear));
    }

    /// Notes that a save is to write what a handle did.
    pub(super) fn is_to_be_saved(&mut self, by: u64) {
        for deed in self.deeds.iter_mut().filter(|deed| deed.by == by) {
            deed.is_to_be_saved = true;
        }
    }

    fn insert(&mut self, deed: Deed) {
        let index = self.deeds.partition_point(|known| known.at <= deed.at);
        self.deeds.insert(index, deed);
    }

    /// Takes out all of it, to be written.
    pub(super) fn take(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    /// Takes out what was done to the field of a change, to be written by itself.
    pub(super) fn take_fields(&mut self, change: &FieldChange) -> Vec<Deed> {
        let names: Vec<_> = change.names().collect();
        let is_of_field = |deed: &mut Deed| match &deed.what {
            What::Change(change) => names.contains(&change.name),
            What::Clear | What::Failure(_) => false,
        };
        self.deeds.extract_if(.., is_of_field).collect()
    }

    /// Takes back what a handle did.
    pub(super) fn take_back(&mut self, by: u64) {
        self.deeds.retain(|deed| deed.by != by);
    }

    /// Takes back what a handle did and no save is to write, and says whether there was anything.
    pub(super) fn take_back_unsaved(&mut self, by: u64) -> bool {
        let before = self.deeds.len();
        self.deeds.retain(|deed| deed.by != by || deed.is_to_be_saved);
        self.deeds.len() < before
    }

    /// The fields that a handle changed and that no save is to write.
    pub(super) fn unsaved_fields(&self, by: u64) -> Vec<FieldName> {
        let unsaved = self.deeds.iter().filter(|deed| deed.is_of(by) && !deed.is_to_be_saved);
        let changes = unsaved.filter_map(|deed| match &deed.what {
            What::Change(change) => Some(change.name.clone()),
            What::Clear | What::Failure(_) => None,
        });
        changes.collect()
    }

    /// Puts back what certainly was not written.
    pub(super) fn put_back(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            self.insert(deed);
        }
        self.fold();
    }

    /// Leaves of what one handle did to one field what comes of it: a handle that saves again and again while the
    /// store is away does it again and again.
    fn fold(&mut self) {
        let mut folded: Vec<Deed> = Vec::with_capacity(self.deeds.len());
        for mut deed in std::mem::take(&mut self.deeds) {
            let earlier = folded.iter().rposition(|earlier| deed.meets(earlier));
            if let Some(earlier) = earlier
                && deed.follows(&folded[earlier])
            {
                folded.remove(earlier);
            }
            folded.push(deed);
        }
        self.deeds = folded;
    }

    /// How much is kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.deeds.len() + self.ends.len() + self.written.len()
    }

    /// Notes that these are written: what other handles did before them comes too late.
    pub(super) fn note_written(&mut self, deeds: &[Deed], ends: &[End]) {
        for deed in deeds {
            if let What::Change(change) = &deed.what {
                self.note_change(change);
            }
        }
        for end in ends {
            match self.ends.iter_mut().find(|known| known.of == end.of) {
                Some(known) => known.at = known.at.max(end.at),
                None => self.ends.push(end.clone()),
            }
        }
    }

    /// The same of one change.
    pub(super) fn note_change(&mut self, change: &FieldChange) {
        let absolutely_at = if change.op.is_relative() { 0 } else { change.at };
        if let Some(written) = self.written.iter_mut().find(|written| written.name == change.name) {
            written.at = change.at.max(written.at);
            written.absolutely_at = absolutely_at.max(written.absolutely_at);
        } else {
            let (name, at) = (change.name.clone(), change.at);
            self.written.push(Written { name, at, absolutely_at });
        }
    }

    /// Forgets everything, for another record.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Leaves the removals of rights only: a failing request grants nothing and takes away.
    pub(super) fn keep_removed_rights(&mut self, record: &Phase, rules: &Rules) {
        let deeds = std::mem::take(&mut self.deeds);
        self.deeds = removed_rights(deeds, record, rules);
    }

    /// Leaves of what a handle did the removals of rights only.
    pub(super) fn keep_removed_rights_of(&mut self, by: u64, record: &Phase, rules: &Rules) {
        let deeds = self.deeds.extract_if(.., |deed| deed.by == by && !deed.is_to_be_saved).collect();
        self.put_back(removed_rights(deeds, record, rules));
    }

    /// Takes out what a handle did.
    pub(super) fn take_of(&mut self, by: u64) -> Vec<Deed> {
        self.deeds.extract_if(.., |deed| deed.by == by).collect()
    }

    /// What becomes of the record.
    pub(super) fn compose(&self, record: &Phase, rules: &Rules) -> Composed {
        self.compose_of(&self.deeds, record, rules)
    }

    /// The same of some deeds, which were taken out.
    pub(super) fn compose_of(&self, deeds: &[Deed], record: &Phase, rules: &Rules) -> Composed {
        let mut composed = Composed { is_carry_only: true, ..Composed::default() };
        for deed in deeds {
            match &deed.what {
                What::Clear => composed.clear(deed.at, record, rules),
                What::Change(change) if self.comes_too_late(change) => {}
                What::Change(change) => {
                    if let Err(error) = composed.push(change, record, rules) {
                        composed.failure.get_or_insert((deed.by, error));
                    }
                }
                What::Failure(error) => {
                    composed.failure.get_or_insert_with(|| (deed.by, error.duplicate()));
                }
            }
        }
        composed
    }

    /// Whether something later of this request has been written already.
    fn comes_too_late(&self, change: &FieldChange) -> bool {
        let is_ended = self.ends.iter().any(|end| change.at < end.at && end.of.has(&change.name));
        let written = self.written.iter().find(|written| written.name == change.name);
        let is_overwritten = written.is_some_and(|written| {
            let at = if change.op.is_relative() { written.absolutely_at } else { written.at };
            change.at < at
        });
        is_ended || is_overwritten
    }
}

impl Ended {
    fn has(&self, name: &FieldName) -> bool {
        match self {
            Self::AllBut(names) => !names.contains(name),
            Self::These(names) => names.contains(name),
        }
    }
}

impl Deed {
    /// The same once more, for another account of it.
    pub(super) fn again(&self) -> Self {
        let what = match &self.what {
            What::Change(change) => What::Change(change.clone()),
            What::Clear => What::Clear,
            What::Failure(error) => What::Failure(error.duplicate()),
        };
        Self { what, ..*self }
    }

    /// Whether the order of the two matters.
    fn meets(&self, earlier: &Self) -> bool {
        match (&self.what, &earlier.what) {
            (What::Change(this), What::Change(that)) => {
                this.name == that.name
                    || this.standing.is_right()
                    || that.standing.is_right()
                    || this.names().any(|name| that.names().any(|other| name == other))
            }
            _ => true,
        }
    }

    /// Takes in what the same handle did right before it, if that comes to the same.
    fn follows(&mut self, earlier: &Self) -> bool {
        if self.by != earlier.by || self.is_to_be_saved != earlier.is_to_be_saved {
            return false;
        }
        match (&mut self.what, &earlier.what) {
            (What::Clear, What::Clear) => true,
            (What::Change(this), What::Change(that))
                if this.name == that.name && !this.standing.is_right() && !that.standing.is_right() =>
            {
                let Some(op) = together(&that.op, &this.op) else { return false };
                this.op = op;
                this.is_default &= that.is_default;
                this.was_removed |= that.was_removed;
                true
            }
            _ => false,
        }
    }

    pub(super) const fn is_of(&self, by: u64) -> bool {
        self.by == by
    }

    const fn is_clear(&self) -> bool {
        matches!(self.what, What::Clear)
    }

    const fn new(by: u64, at: u64, what: What) -> Self {
        Self { by, at, is_to_be_saved: false, what }
    }
}

/// Two operations in a row as one, if that needs nothing of what was loaded.
fn together(first: &Op, second: &Op) -> Option<Op> {
    match (first, second) {
        (_, Op::Put(_) | Op::Remove) => Some(second.clone()),
        (Op::Add(first), Op::Add(second)) => first.then(*second).map(Op::Add),
        (Op::Max(first), Op::Max(second)) => Some(Op::Max(*first.max(second))),
        (Op::Min(first), Op::Min(second)) => Some(Op::Min(*first.min(second))),
        (Op::PutIfAbsent(_), Op::PutIfAbsent(_)) => Some(first.clone()),
        _ => None,
    }
}

/// The removals of rights among these.
pub(super) fn removed_rights(deeds: Vec<Deed>, record: &Phase, rules: &Rules) -> Vec<Deed> {
    let mut removed = Vec::new();
    for Deed { by, at, is_to_be_saved, what } in deeds {
        let mut keep = |change| {
            removed.push(Deed { by, at, is_to_be_saved, what: What::Change(change) });
        };
        match what {
            What::Change(change) => change.into_removed_right().into_iter().for_each(keep),
            What::Clear => record.rights(rules).into_iter().for_each(|name| {
                let standing = record.standing(&name, rules);
                let (op, aliases) = (Op::Remove, &[][..]);
                keep(FieldChange { name, op, aliases, is_default: false, standing, was_removed: true, at });
            }),
            What::Failure(_) => {}
        }
    }
    removed
}

impl Composed {
    /// Whether something ends this field.
    pub(super) fn ends(&self, name: &FieldName) -> bool {
        self.ends.iter().any(|end| end.of.has(name))
    }

    fn clear(&mut self, at: u64, record: &Phase, rules: &Rules) {
        self.delta = Delta::new();
        self.dropped.clear();
        self.ends.push(End { at, of: Ended::AllBut(Vec::new()) });
        if self.rotation == Rotation::Login {
            // Whoever it was is nobody again.
            self.rotation = Rotation::None;
        }
        if record.live().is_none() {
            return;
        }
        self.is_carry_only = false;
        self.delta.retain(Vec::new());
        let rights = record.rights(rules);
        if rights.iter().any(|name| record.standing(name, rules) == Standing::Identity) {
            self.rotation = Rotation::Logout;
        } else if !rights.is_empty() {
            self.rotation.at_least_hard();
        }
    }

    /// Adds a change to what was done before it.
    pub(super) fn push(&mut self, change: &FieldChange, record: &Phase, rules: &Rules) -> Result<(), Error> {
        if change.standing == Standing::Identity {
            self.note_identity(change, record, rules);
        } else if change.standing.is_right() {
            self.rotation.at_least_hard();
        }
        if is_none(&self.delta, change, record) {
            return Ok(());
        }
        self.is_carry_only &= change.standing == Standing::Carry;
        let name = &change.name;
        let dropped = &self.dropped;
        let pushed = self.delta.push(name.clone(), change.op.clone(), record.left(name, dropped));
        for alias in change.names().skip(1) {
            // A removal needs nothing of what was there.
            let _ = self.delta.push(alias.clone(), Op::Remove, record.left(&alias, dropped));
        }
        for name in change.names() {
            // What would leave it as it was loaded is not enough: another request may have set it since.
            if dropped.contains(&name) && !self.delta.has(name.as_str()) {
                self.delta.force(name, Op::Remove);
            }
        }
        pushed.map_err(|_| Error::not_an_integer(name))
    }

    /// What goes with a change of who is logged in.
    fn note_identity(&mut self, change: &FieldChange, record: &Phase, rules: &Rules) {
        let before = change.names().find_map(|name| self.value(&name, record));
        let after = change.op.apply(before.as_ref()).ok().flatten();
        let at = change.at;
        // Somebody whom another view knows by another name.
        let other = record.live().and_then(|live| live.authority.identity.as_ref());
        let is_other =
            other.is_some_and(|other| !self.delta.drops(other) && change.names().all(|name| name != *other));
        match (before, after) {
            (None, None) if !is_other => self.rotation.at_least_hard(),
            (None, Some(_)) if !is_other => {
                // In the place of somebody else whom this request has logged out, it is no beginning.
                if self.rotation != Rotation::Logout {
                    self.rotation = Rotation::Login;
                }
                let dropped = rules.names(Standing::DropOnLogin);
                for name in &dropped {
                    self.delta.take(name.as_str());
                    if record.live().is_some() {
                        // Whatever was loaded: another request of the visitor's may have set it since.
                        self.delta.force(name.clone(), Op::Remove);
                    }
                }
                self.dropped.extend(dropped.iter().cloned());
                self.ends.push(End { at, of: Ended::These(dropped) });
            }
            (Some(before), Some(after)) if before == after && !change.was_removed => {
                if !matches!(self.rotation, Rotation::Login | Rotation::Logout) {
                    self.rotation = Rotation::Proof;
                }
            }
            _ => {
                self.rotation = Rotation::Logout;
                let carried = rules.names(Standing::Carry);
                self.dropped.clear();
                self.delta.retain(carried.clone());
                self.ends.push(End { at, of: Ended::AllBut(carried) });
            }
        }
    }

    /// A field as this request sees it so far.
    fn value(&self, name: &FieldName, record: &Phase) -> Option<bytes::Bytes> {
        let loaded = record.loaded(name).filter(|_| !self.delta.drops(name));
        match self.delta.ops().iter().find(|(known, _)| known == name) {
            Some((_, op)) => op.apply(loaded).ok().flatten(),
            None => loaded.cloned(),
        }
    }
}

impl Rotation {
    pub(super) fn at_least_hard(&mut self) {
        if *self < Self::Hard {
            *self = Self::Hard;
        }
    }
}

/// Whether a field is as the change would leave it, and nothing else is to be done to it.
fn is_none(delta: &Delta, change: &FieldChange, record: &Phase) -> bool {
    let FieldChange { name, op, is_default, .. } = change;
    if change.names().any(|name| delta.has(name.as_str())) {
        return false;
    }
    let stored = |name: &FieldName| record.loaded(name).filter(|_| !delta.drops(name));
    let is_absent = || change.names().all(|name| stored(&name).is_none());
    match op {
        Op::Put(value) => stored(name) == Some(value) || (*is_default && is_absent()),
        Op::Remove => is_absent(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::Add;

    fn change(name: &'static str, at: u64, op: Op) -> FieldChange {
        let (name, standing) = (FieldName::from_static(name), Standing::Plain);
        FieldChange { name, op, aliases: &[], is_default: false, standing, was_removed: false, at }
    }

    /// What is put back again and again while a handler goes on saving takes no more room, and comes to the same;
    /// what another handle did in between stays in between.
    #[test]
    fn what_is_put_back_is_folded() {
        let one = Op::Add(Add { by: 1, start: 0, min: 0, max: 1_000_000 });
        let mut ledger = Ledger::default();
        for round in 0..1000 {
            let put = Op::Put(round.to_string().into());
            let changes = vec![change("name", 3 * round, put), change("hits", 3 * round + 1, one.clone())];
            ledger.enter(1, changes, None);
            let deeds = ledger.take();
            ledger.put_back(deeds);
            assert_eq!(ledger.size(), 2);
        }
        let delta = ledger.compose(&Phase::Absent, &Rules::default()).delta;
        let mut fields = crate::value::Fields::new();
        delta.apply(&mut fields).unwrap();
        assert_eq!(
            (fields.get("name").unwrap(), fields.get("hits").unwrap()),
            (&"999".into(), &"1000".into())
        );
        ledger.enter(2, vec![change("hits", 3000, Op::Put("5".into()))], None);
        ledger.enter(1, vec![change("hits", 3001, one)], None);
        let deeds = ledger.take();
        ledger.put_back(deeds);
        assert_eq!(ledger.size(), 4);
    }
}
