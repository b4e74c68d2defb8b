//! Action the handles of a request did to its session, until it is written.

use bytes::Bytes;

use super::{
    rules::{FieldClass, Rules},
    state::RecordState,
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    value::{FieldName, Fields},
};

/// Action the handles of a request did, in the order in which they did it.
///
/// They hand it over when they are dropped, which says nothing about when they did what; so each
/// pending has a number of the request's own count. Action becomes of the record is put together from
/// the changes when it is needed, so that one of them can still be taken back.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    changes: Vec<PendingChange>,
    /// Action this request has written already: earlier changes of other handles come too late.
    written: Vec<Written>,
    ends: Vec<End>,
    /// A login of this request's session was ended together with its record.
    follows_login: bool,
}

/// When a field that was written was changed.
#[derive(Debug)]
struct Written {
    name: FieldName,
    at: u64,
    /// The last time that it was set or removed, whatever was there.
    absolutely_at: u64,
    /// It was flashed.
    is_flashed: bool,
}

/// Something that ended fields, whatever was in them.
#[derive(Clone, Debug)]
pub(super) struct End {
    at: u64,
    of: Ended,
    /// Whether somebody was logged out.
    is_logout: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// All but these.
    AllBut(Vec<FieldName>),
    /// All but these, and what the request flashed.
    AllButFlashesAnd(Vec<FieldName>),
    These(Vec<FieldName>),
    /// Action the request flashed.
    Flashes,
}

/// Something that a handle did.
#[derive(Debug)]
pub(super) struct PendingChange {
    by: u64,
    at: u64,
    /// Whether a save was asked to write it.
    is_to_be_saved: bool,
    what: Action,
}

#[derive(Debug)]
enum Action {
    Change(FieldChange),
    /// All fields are removed.
    Clear,
    /// A change that cannot be stored: the commit fails with it.
    Failure(Error),
}

/// Action was done to one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldChange {
    pub(crate) name: FieldName,
    pub(crate) op: Op,
    /// Older names, which go with every operation: the present one wins.
    pub(crate) aliases: &'static [&'static str],
    /// Whether a put is of the value that the field has anyway if nothing is stored.
    pub(crate) is_default: bool,
    /// Action the field is to whoever uses the session: with a right, a new secret goes with the change.
    pub(crate) class: FieldClass,
    /// Action the view says of it that it was changed in: only one that declares a right can grant it.
    pub(crate) declared: FieldClass,
    /// Whether the field is a flash.
    pub(crate) is_flash: bool,
    /// Whether it was removed at some time, whatever came after that.
    pub(crate) was_removed: bool,
    /// When it was done, in the request's own count.
    pub(crate) at: u64,
}

/// Action becomes of a record.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) delta: Delta,
    pub(super) secret_change: SecretChange,
    /// The rights that there are then.
    pub(super) rights: Rights,
    /// Whether nothing but fields that belong to the browser changes.
    pub(super) is_carry_only: bool,
    /// Action ended fields.
    pub(super) ends: Vec<End>,
    /// Fields that go whatever was loaded, unless they are set after that.
    dropped: Vec<FieldName>,
    /// The request has logged somebody out before.
    follows_login: bool,
    /// Action it flashed and has written.
    flashed_before: Vec<FieldName>,
    /// Action the request flashed.
    flashed: Vec<FieldName>,
    /// Fields that it had changed, and that went with the user whose they were.
    pub(super) lost: Vec<FieldName>,
    /// The first change that cannot be stored, which is not in the delta, and whose it is.
    pub(super) failure: Option<(u64, Error)>,
}

/// The rights that a record holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// Their stored names.
    pub(super) names: Vec<FieldName>,
    /// Which of them says who is logged in.
    pub(super) identity: Option<FieldName>,
}

/// Whether a new secret goes with it, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SecretChange {
    #[default]
    None,
    /// The same powers, by time or because somebody asked for it.
    Renewal,
    /// Somebody asked for it, or a right changes.
    Rotation,
    /// Somebody proves again who it is.
    Reauthentication,
    /// Somebody logs in who was nobody before.
    Login,
    /// Somebody logs out, or turns into somebody else.
    Logout,
}

impl FieldChange {
    /// A flash that was written already, for another record.
    fn flashed(name: FieldName, stored: Bytes, at: u64) -> Self {
        let (op, aliases) = (Op::Put(stored), &[][..]);
        let (class, declared) = (FieldClass::Plain, FieldClass::Plain);
        let (is_default, is_flash, was_removed) = (false, true, false);
        Self { name, op, aliases, is_default, class, declared, is_flash, was_removed, at }
    }

    /// All names under which the field may be stored.
    pub(super) fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        let aliases = self.aliases.iter().map(|alias| FieldName::from_static(alias));
        [self.name.clone()].into_iter().chain(aliases)
    }

    /// Whether it is a flash for whoever comes next.
    pub(super) fn is_flashed(&self) -> bool {
        self.is_flash && matches!(self.op, Op::Put(_))
    }

    /// Action is left of it where nothing may be granted: the removal of a right.
    pub(super) fn into_removed_right(self) -> Option<Self> {
        let was_removed = self.class.is_right() && (self.was_removed || self.op == Op::Remove);
        was_removed.then(|| Self { op: Op::Remove, is_default: false, was_removed: true, ..self })
    }
}

impl ChangeLog {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Enters what a handle hands over.
    pub(super) fn enter(&mut self, by: u64, changes: Vec<FieldChange>, failure: Option<(u64, Error)>) {
        for change in changes {
            self.insert(PendingChange::new(by, change.at, Action::Change(change)));
        }
        if let Some((at, error)) = failure {
            self.insert(PendingChange::new(by, at, Action::Failure(error)));
        }
    }

    /// Enters that all fields are removed.
    pub(super) fn clear(&mut self, by: u64, at: u64) {
        // Between two in a row of one handle there is nothing that the second does not remove.
        self.changes.pop_if(|last| last.is_of(by) && !last.is_to_be_saved && last.at < at && last.is_clear());
        self.insert(PendingChange::new(by, at, Action::Clear));
    }

    /// Notes that a save is to write what a handle did, to all fields or to one.
    pub(super) fn is_to_be_saved(&mut self, by: u64, only: Option<&FieldName>) {
        let is_meant = |pending: &PendingChange| match (only, pending.change()) {
            (None, _) => true,
            (Some(name), change) => change.is_some_and(|change| change.name == *name),
        };
        for pending in self.changes.iter_mut().filter(|pending| pending.by == by && is_meant(pending)) {
            pending.is_to_be_saved = true;
        }
    }

    fn insert(&mut self, pending: PendingChange) {
        let index = self.changes.partition_point(|known| known.at <= pending.at);
        self.changes.insert(index, pending);
    }

    /// Takes out all of it, to be written.
    pub(super) fn take(&mut self) -> Vec<PendingChange> {
        std::mem::take(&mut self.changes)
    }

    /// Takes out what was done to the field of a change, to be written by itself.
    pub(super) fn take_fields(&mut self, change: &FieldChange) -> Vec<PendingChange> {
        let names: Vec<_> = change.names().collect();
        let is_of_field = |pending: &mut PendingChange| match &pending.what {
            Action::Change(change) => names.contains(&change.name),
            Action::Clear | Action::Failure(_) => false,
        };
        self.changes.extract_if(.., is_of_field).collect()
    }

    /// Takes back what a handle did.
    pub(super) fn take_back(&mut self, by: u64) {
        self.changes.retain(|pending| pending.by != by);
    }

    /// Takes back that flashes were taken.
    pub(super) fn take_back_takes(&mut self) {
        self.changes.retain(|pending| !matches!(pending.op(), Some(Op::RemoveIf(_))));
    }

    /// Whether a handle did something that no save is to write, but for the removal of rights.
    pub(super) fn has_unsaved(&self, by: u64) -> bool {
        let is_unsaved = |pending: &PendingChange| {
            pending.by == by && !pending.is_to_be_saved && !pending.is_removed_right()
        };
        self.changes.iter().any(is_unsaved)
    }

    /// Whether a handle took a right away.
    pub(super) fn has_removed_rights_of(&self, by: u64) -> bool {
        self.changes.iter().any(|pending| pending.by == by && pending.is_removed_right())
    }

    /// The fields that a handle changed and that no save is to write.
    pub(super) fn unsaved_fields(&self, by: u64) -> Vec<FieldName> {
        let unsaved = self.changes.iter().filter(|pending| pending.is_of(by) && !pending.is_to_be_saved);
        let changes = unsaved.filter_map(|pending| match &pending.what {
            Action::Change(change) => Some(change.name.clone()),
            Action::Clear | Action::Failure(_) => None,
        });
        changes.collect()
    }

    /// Puts back what certainly was not written.
    pub(super) fn put_back(&mut self, changes: Vec<PendingChange>) {
        for pending in changes {
            self.insert(pending);
        }
        self.fold();
    }

    /// Leaves of what one handle did to one field what comes of it: a handle that saves again and again while the
    /// store is away does it again and again.
    fn fold(&mut self) {
        let mut folded: Vec<PendingChange> = Vec::with_capacity(self.changes.len());
        for mut pending in std::mem::take(&mut self.changes) {
            while let Some(earlier) = folded.iter().rposition(|earlier| pending.meets(earlier))
                && pending.follows(&folded[earlier])
            {
                folded.remove(earlier);
            }
            folded.push(pending);
        }
        self.changes = folded;
    }

    /// How much is kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.changes.len() + self.ends.len() + self.written.len()
    }

    /// Notes that these are written: what other handles did before them comes too late.
    pub(super) fn note_written(&mut self, changes: &[PendingChange], ends: &[End]) {
        for pending in changes {
            if let Action::Change(change) = &pending.what {
                self.note_change(change);
            }
        }
        for end in ends {
            match self.ends.iter_mut().find(|known| known.of == end.of) {
                Some(known) => known.at = known.at.max(end.at),
                None => self.ends.push(end.clone()),
            }
        }
        self.follows_login |= ends.iter().any(|end| end.is_logout);
    }

    /// The same of one change.
    pub(super) fn note_change(&mut self, change: &FieldChange) {
        let absolutely_at = if change.op.is_relative() { 0 } else { change.at };
        if let Some(written) = self.written.iter_mut().find(|written| written.name == change.name) {
            written.at = change.at.max(written.at);
            written.is_flashed = change.is_flashed();
            written.absolutely_at = absolutely_at.max(written.absolutely_at);
        } else {
            let (name, at, is_flashed) = (change.name.clone(), change.at, change.is_flashed());
            self.written.push(Written { name, at, absolutely_at, is_flashed });
        }
    }

    /// Forgets everything, for another record, but what the request flashed, which may be among the fields already. Says
    /// what else it had changed.
    pub(super) fn begin_anew(&mut self, ended_login: bool, fields: &Fields) -> Vec<FieldName> {
        let follows_login = self.follows_login || ended_login || self.has_login();
        let mut lost = Vec::new();
        let flashed = self.written.iter().filter(|written| written.is_flashed);
        let again = flashed.filter_map(|Written { name, at, .. }| {
            let change = FieldChange::flashed(name.clone(), fields.get(name.as_str())?.clone(), *at);
            Some(PendingChange::new(0, *at, Action::Change(change)))
        });
        let mut kept: Vec<_> = again.collect();
        for pending in std::mem::take(&mut self.changes) {
            match pending.what {
                Action::Change(change) if change.is_flash => {
                    kept.push(PendingChange::new(pending.by, pending.at, Action::Change(change)));
                }
                Action::Change(change) if change.op != Op::Remove => lost.push(change.name),
                Action::Change(_) | Action::Clear | Action::Failure(_) => {}
            }
        }
        kept.sort_by_key(|pending| pending.at);
        *self = Self { changes: kept, follows_login, ..Self::default() };
        lost
    }

    fn has_login(&self) -> bool {
        let is_login =
            |change: &FieldChange| change.class == FieldClass::Identity && matches!(change.op, Op::Put(_));
        self.changes.iter().filter_map(PendingChange::change).any(is_login)
    }

    /// Leaves the removals of rights only: a failing request grants nothing and takes away.
    pub(super) fn keep_removed_rights(&mut self, record: &RecordState, rules: &Rules) {
        let changes = std::mem::take(&mut self.changes);
        self.changes = removed_rights(changes, record, rules);
    }

    /// Takes out the rights that are granted, and after a login all that is not a removal of a right: it is the new
    /// user's. Returns the names of the rights.
    pub(super) fn drop_grants(&mut self) -> Vec<FieldName> {
        let mut dropped = Vec::new();
        let mut is_after_login = false;
        for PendingChange { by, at, is_to_be_saved, what } in std::mem::take(&mut self.changes) {
            let what = match what {
                Action::Change(change) if change.class.is_right() && change.op != Op::Remove => {
                    dropped.push(change.name.clone());
                    is_after_login |= change.class == FieldClass::Identity;
                    change.into_removed_right().map(Action::Change)
                }
                Action::Change(change) if is_after_login => change.into_removed_right().map(Action::Change),
                Action::Failure(_) if is_after_login => None,
                kept => Some(kept),
            };
            self.changes.extend(what.map(|what| PendingChange { by, at, is_to_be_saved, what }));
        }
        dropped
    }

    /// Leaves of what a handle did the removals of rights only.
    pub(super) fn keep_removed_rights_of(&mut self, by: u64, record: &RecordState, rules: &Rules) {
        let changes =
            self.changes.extract_if(.., |pending| pending.by == by && !pending.is_to_be_saved).collect();
        self.put_back(removed_rights(changes, record, rules));
    }

    /// Takes out what changes rights, of which the removals are left.
    pub(super) fn take_removed_rights(&mut self, record: &RecordState, rules: &Rules) -> Vec<PendingChange> {
        // Action else a clear does is still to be done.
        let clears = self
            .changes
            .iter()
            .filter(|pending| matches!(pending.what, Action::Clear))
            .map(PendingChange::again);
        let mut taken: Vec<_> = clears.collect();
        let is_of_right =
            |pending: &mut PendingChange| pending.change().is_some_and(|change| change.class.is_right());
        taken.extend(self.changes.extract_if(.., is_of_right));
        removed_rights(taken, record, rules)
    }

    /// Takes out what a handle did.
    pub(super) fn take_of(&mut self, by: u64) -> Vec<PendingChange> {
        self.changes.extract_if(.., |pending| pending.by == by).collect()
    }

    /// Action becomes of the record.
    pub(super) fn compose(&self, record: &RecordState, rules: &Rules) -> Composed {
        self.compose_of(&self.changes, record, rules)
    }

    /// The same of some changes, which were taken out.
    pub(super) fn compose_of(
        &self,
        changes: &[PendingChange],
        record: &RecordState,
        rules: &Rules,
    ) -> Composed {
        let flashed_before = self.written.iter().filter(|written| written.is_flashed);
        let mut composed = Composed {
            is_carry_only: true,
            rights: record.rights(),
            follows_login: self.follows_login,
            flashed_before: flashed_before.map(|written| written.name.clone()).collect(),
            ..Composed::default()
        };
        for pending in changes {
            match &pending.what {
                Action::Clear => composed.clear(pending.at, record),
                Action::Change(change) if self.is_ended(change) => {
                    if change.op != Op::Remove {
                        composed.lost.push(change.name.clone());
                    }
                }
                Action::Change(change) if self.is_overwritten(change) => {}
                Action::Change(change) => {
                    if let Err(error) = composed.push(change, record, rules) {
                        composed.failure.get_or_insert((pending.by, error));
                    }
                }
                Action::Failure(error) => {
                    composed.failure.get_or_insert_with(|| (pending.by, error.duplicate()));
                }
            }
        }
        composed
    }

    /// Whether something later of this request has ended the field already.
    fn is_ended(&self, change: &FieldChange) -> bool {
        self.ends.iter().any(|end| change.at < end.at && end.of.has(&change.name, change.is_flashed()))
    }

    /// Whether something later of this request has been written already.
    fn is_overwritten(&self, change: &FieldChange) -> bool {
        let written = self.written.iter().find(|written| written.name == change.name);
        written.is_some_and(|written| {
            let at = if change.op.is_relative() { written.absolutely_at } else { written.at };
            change.at < at
        })
    }
}

impl Ended {
    fn has(&self, name: &FieldName, is_flashed: bool) -> bool {
        match self {
            Self::AllBut(names) => !names.contains(name),
            Self::AllButFlashesAnd(names) => !is_flashed && !names.contains(name),
            Self::These(names) => names.contains(name),
            Self::Flashes => is_flashed,
        }
    }
}

impl PendingChange {
    /// Action it did to one field, if it is that.
    pub(super) const fn change(&self) -> Option<&FieldChange> {
        match &self.what {
            Action::Change(change) => Some(change),
            Action::Clear | Action::Failure(_) => None,
        }
    }

    /// Whether it takes a right away and does nothing else.
    pub(super) fn is_removed_right(&self) -> bool {
        self.change().is_some_and(|change| change.class.is_right() && change.op == Op::Remove)
    }

    /// The same once more, for another account of it.
    pub(super) fn again(&self) -> Self {
        let what = match &self.what {
            Action::Change(change) => Action::Change(change.clone()),
            Action::Clear => Action::Clear,
            Action::Failure(error) => Action::Failure(error.duplicate()),
        };
        Self { what, ..*self }
    }

    /// Whether the order of the two matters.
    fn meets(&self, earlier: &Self) -> bool {
        if self.is_removed_right() && earlier.is_removed_right() {
            return self.change().map(|change| &change.name) == earlier.change().map(|change| &change.name);
        }
        match (&self.what, &earlier.what) {
            (Action::Change(this), Action::Change(that)) => {
                this.name == that.name
                    || this.class.is_right()
                    || that.class.is_right()
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
        let is_removed_again = self.is_removed_right() && earlier.is_removed_right();
        match (&mut self.what, &earlier.what) {
            (Action::Clear, Action::Clear) => true,
            // It removes that, too; what is flashed survives it, and a grant says what the rights were.
            (Action::Clear, Action::Change(that)) => {
                !that.is_flash && (!that.class.is_right() || that.op == Op::Remove)
            }
            (Action::Change(this), Action::Change(that)) if is_removed_again => {
                this.was_removed |= that.was_removed;
                this.name == that.name
            }
            (Action::Change(this), Action::Change(that))
                if this.name == that.name && !this.class.is_right() && !that.class.is_right() =>
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

    /// Action was done to a field, if it was one field.
    pub(super) const fn op(&self) -> Option<&Op> {
        match &self.what {
            Action::Change(change) => Some(&change.op),
            Action::Clear | Action::Failure(_) => None,
        }
    }

    pub(super) const fn is_of(&self, by: u64) -> bool {
        self.by == by
    }

    /// Whose save is to write it, if one is.
    pub(super) fn saved_by(&self) -> Option<u64> {
        self.is_to_be_saved.then_some(self.by)
    }

    const fn is_clear(&self) -> bool {
        matches!(self.what, Action::Clear)
    }

    const fn new(by: u64, at: u64, what: Action) -> Self {
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
pub(super) fn removed_rights(
    changes: Vec<PendingChange>,
    record: &RecordState,
    rules: &Rules,
) -> Vec<PendingChange> {
    let mut removed = Vec::new();
    for PendingChange { by, at, is_to_be_saved, what } in changes {
        let mut keep = |change| {
            removed.push(PendingChange { by, at, is_to_be_saved, what: Action::Change(change) });
        };
        match what {
            Action::Change(change) => change.into_removed_right().into_iter().for_each(keep),
            Action::Clear => record.rights().names.into_iter().for_each(|name| {
                let class = record.class(&name, rules);
                let (op, aliases, declared) = (Op::Remove, &[][..], class);
                let (is_default, is_flash, was_removed) = (false, false, true);
                keep(FieldChange {
                    name,
                    op,
                    aliases,
                    is_default,
                    class,
                    declared,
                    is_flash,
                    was_removed,
                    at,
                });
            }),
            Action::Failure(_) => {}
        }
    }
    removed
}

impl Composed {
    /// Whether something ends this field.
    pub(super) fn ends(&self, name: &FieldName) -> bool {
        self.ends.iter().any(|end| end.of.has(name, false))
    }

    fn clear(&mut self, at: u64, record: &RecordState) {
        let flashed = self.take_flashed();
        self.delta = Delta::new();
        self.dropped.clear();
        let is_logout = record.rights().identity.is_some();
        self.ends.push(End { at, of: Ended::AllButFlashesAnd(self.flashed_before.clone()), is_logout });
        self.rights = Rights::default();
        if self.secret_change == SecretChange::Login {
            // Whoever it was is nobody again.
            self.secret_change = SecretChange::None;
        }
        if record.live().is_some() {
            self.is_carry_only = false;
            self.delta.retain(self.flashed_before.clone());
        }
        self.put_flashed(flashed);
        let rights = record.rights();
        if rights.identity.is_some() {
            self.secret_change = SecretChange::Logout;
        } else if !rights.names.is_empty() {
            self.secret_change.at_least_rotation();
        }
    }

    /// Adds a change to what was done before it.
    pub(super) fn push(
        &mut self,
        change: &FieldChange,
        record: &RecordState,
        rules: &Rules,
    ) -> Result<(), Error> {
        if change.class.is_right() && record.is_withheld() && self.secret_change != SecretChange::Logout {
            // Whoever it was that cannot be read: nothing of it is mixed with what comes.
            self.log_out(change.at, record, rules, true);
        }
        if change.class == FieldClass::Identity {
            self.note_identity(change, record, rules);
        } else if change.class.is_right() {
            self.secret_change.at_least_rotation();
        }
        self.rights.note(change);
        if is_none(&self.delta, change, record) {
            return Ok(());
        }
        self.is_carry_only &= change.class == FieldClass::KeepOnLogout;
        let name = &change.name;
        let dropped = &self.dropped;
        let pushed = self.delta.push(name.clone(), change.op.clone(), record.left(name, dropped));
        for alias in change.names().skip(1) {
            // A removal needs nothing of what was there.
            let _ = self.delta.push(alias.clone(), Op::Remove, record.left(&alias, dropped));
        }
        for name in change.names() {
            // Action would leave it as it was loaded is not enough: another request may have set it since.
            if dropped.contains(&name) && !self.delta.has(name.as_str()) {
                self.delta.force(name, Op::Remove);
            }
        }
        if change.is_flashed() && !self.flashed.contains(name) {
            self.flashed.push(name.clone());
        }
        pushed.map_err(|_| Error::not_an_integer(name))
    }

    /// Drops all that does not outlive a logout. Action the request flashed does, unless it is for the next user.
    fn log_out(&mut self, at: u64, record: &RecordState, rules: &Rules, is_by_visitor: bool) {
        self.secret_change = SecretChange::Logout;
        self.rights = Rights::default();
        let carried = record.carried(rules);
        self.dropped.clear();
        let flashed = self.take_flashed();
        let is_lost = |(name, op): &&(FieldName, Op)| {
            let is_change = !matches!(op, Op::Remove | Op::RemoveIf(_));
            is_change && !carried.contains(name) && !record.class(name, rules).is_right()
        };
        self.lost.extend(self.delta.ops().iter().filter(is_lost).map(|(name, _)| name.clone()));
        let mut kept = carried;
        if is_by_visitor {
            kept.extend(self.flashed_before.iter().cloned());
        }
        self.delta.retain(kept.clone());
        let is_logout = true;
        if is_by_visitor {
            self.put_flashed(flashed);
            self.ends.push(End { at, of: Ended::AllButFlashesAnd(kept), is_logout });
        } else {
            self.lost.extend(flashed.into_iter().map(|(name, _)| name));
            self.ends.push(End { at, of: Ended::AllBut(kept), is_logout });
        }
    }

    /// Takes out what the request flashed and nobody took.
    fn take_flashed(&mut self) -> Vec<(FieldName, Op)> {
        let names = std::mem::take(&mut self.flashed);
        let taken = names.into_iter().filter_map(|name| self.delta.take(name.as_str()).map(|op| (name, op)));
        taken.filter(|(_, op)| matches!(op, Op::Put(_))).collect()
    }

    fn put_flashed(&mut self, flashed: Vec<(FieldName, Op)>) {
        for (name, op) in flashed {
            self.flashed.push(name.clone());
            self.delta.force(name, op);
        }
    }

    /// Drops what the request flashed for the user before.
    fn drop_flashed(&mut self, at: u64) {
        let flashed = self.take_flashed();
        self.lost.extend(flashed.into_iter().map(|(name, _)| name));
        for name in std::mem::take(&mut self.flashed_before) {
            self.delta.force(name, Op::Remove);
        }
        self.ends.push(End { at, of: Ended::Flashes, is_logout: false });
    }

    /// Action goes with a change of who is logged in.
    fn note_identity(&mut self, change: &FieldChange, record: &RecordState, rules: &Rules) {
        let before = change.names().find_map(|name| self.value(&name, record));
        let after = change.op.apply(before.as_ref()).ok().flatten();
        let at = change.at;
        // Somebody whom another view knows by another name.
        let other = record.live().and_then(|live| live.authority.identity.as_ref());
        let is_other =
            other.is_some_and(|other| !self.delta.drops(other) && change.names().all(|name| name != *other));
        match (before, after) {
            (None, None) if !is_other => self.secret_change.at_least_rotation(),
            (None, Some(_)) if !is_other => {
                // In the place of somebody else whom this request has logged out, it is no beginning.
                if self.secret_change == SecretChange::Logout || self.follows_login {
                    // Action was said to the one before is nothing to this one.
                    self.drop_flashed(at);
                }
                if self.secret_change != SecretChange::Logout {
                    self.secret_change = SecretChange::Login;
                }
                let dropped = rules.names(FieldClass::DropOnLogin);
                for name in &dropped {
                    self.delta.take(name.as_str());
                    if record.live().is_some() {
                        // Whatever was loaded: another request of the visitor's may have set it since.
                        self.delta.force(name.clone(), Op::Remove);
                    }
                }
                self.rights.names.retain(|name| !dropped.contains(name));
                self.dropped.extend(dropped.iter().cloned());
                self.ends.push(End { at, of: Ended::These(dropped), is_logout: false });
            }
            (Some(before), Some(after))
                if before == after && !change.was_removed && change.declared.is_right() =>
            {
                if !matches!(self.secret_change, SecretChange::Login | SecretChange::Logout) {
                    self.secret_change = SecretChange::Reauthentication;
                }
            }
            (_, after) => self.log_out(at, record, rules, after.is_none()),
        }
    }

    /// A field as this request sees it so far.
    fn value(&self, name: &FieldName, record: &RecordState) -> Option<bytes::Bytes> {
        let loaded = record.loaded(name).filter(|_| !self.delta.drops(name));
        match self.delta.ops().iter().find(|(known, _)| known == name) {
            Some((_, op)) => op.apply(loaded).ok().flatten(),
            None => loaded.cloned(),
        }
    }
}

impl Rights {
    /// Notes what a change makes of them: a right is granted by a view that declares it. One that does not takes it
    /// away, since what it writes is no right.
    fn note(&mut self, change: &FieldChange) {
        for name in change.names() {
            self.names.retain(|known| *known != name);
            self.identity.take_if(|identity| *identity == name);
        }
        if change.declared.is_right() && matches!(change.op, Op::Put(_)) {
            self.names.push(change.name.clone());
            if change.class == FieldClass::Identity {
                self.identity = Some(change.name.clone());
            }
        }
    }
}

impl SecretChange {
    pub(super) fn at_least_rotation(&mut self) {
        if *self < Self::Rotation {
            *self = Self::Rotation;
        }
    }
}

/// Whether a field is as the change would leave it, and nothing else is to be done to it.
fn is_none(delta: &Delta, change: &FieldChange, record: &RecordState) -> bool {
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
        let (name, class) = (FieldName::from_static(name), FieldClass::Plain);
        FieldChange {
            name,
            op,
            aliases: &[],
            is_default: false,
            class,
            declared: class,
            is_flash: false,
            was_removed: false,
            at,
        }
    }

    /// Action is put back again and again while a handler goes on saving takes no more room, and comes to the same;
    /// what another handle did in between stays in between.
    #[test]
    fn what_is_put_back_is_folded() {
        let one = Op::Add(Add { by: 1, start: 0, min: 0, max: 1_000_000 });
        let mut log = ChangeLog::default();
        for round in 0..1000 {
            let put = Op::Put(round.to_string().into());
            let changes = vec![change("name", 3 * round, put), change("hits", 3 * round + 1, one.clone())];
            log.enter(1, changes, None);
            let changes = log.take();
            log.put_back(changes);
            assert_eq!(log.size(), 2);
        }
        let delta = log.compose(&RecordState::Absent, &Rules::default()).delta;
        let mut fields = crate::value::Fields::new();
        delta.apply(&mut fields).unwrap();
        assert_eq!(
            (fields.get("name").unwrap(), fields.get("hits").unwrap()),
            (&"999".into(), &"1000".into())
        );
        log.enter(2, vec![change("hits", 3000, Op::Put("5".into()))], None);
        log.enter(1, vec![change("hits", 3001, one)], None);
        let changes = log.take();
        log.put_back(changes);
        assert_eq!(log.size(), 4);
    }
}
