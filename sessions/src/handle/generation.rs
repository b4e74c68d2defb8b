//! The fields of a handle between two points at which its record changed under it.

use std::sync::OnceLock;

use super::{
    cell::Cell,
    collection,
    decoded::OnUndecodable,
    table::{Field, Shape, Table, Value},
};
use crate::{
    error::Error,
    slot::{FieldChange, Snapshot, StagedChanges, UNOPENED},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    value::{FieldName, Fields, Timestamp},
};

/// The most generations that a handle keeps until it is borrowed mutably.
const MOST: usize = 64;

/// The fields of a handle as it saw them at one point. `save`, `destroy` and `clear` take `&self`, while references to
/// values are out: they begin a next generation and leave this one as it is.
///
/// A generation in which nothing was changed, and which shows what the next one would, serves in the
/// next one's place. Fields change through `&mut` only, which leaves one generation. So a handle by itself
/// has two at most, however often it saves; more come from what other handles of the request change.
pub(super) struct Generation {
    /// Which record of the request it belongs to.
    incarnation: AtomicU32,
    /// The number of resets of the request that it is after.
    reset: AtomicU64,
    pub(super) fields: Fields,
    /// The values that the request shows for itself only.
    request_only: Fields,
    /// One per field, made when the field is first used: most handlers use few.
    cells: Box<[OnceLock<Box<Cell>>]>,
    /// True if a field was changed in it.
    is_changed: bool,
    /// The last one there is room for: it shows no fields.
    is_closed: bool,
    /// Its changes have been staged, or are not to be.
    is_staged: AtomicBool,
    next: OnceLock<Box<Self>>,
}

/// The outcome of beginning a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// The newest generation shows what was to be shown, or no fields at all because there was no room before.
    Shown,
    /// There is no more room: no fields are shown until the handle is borrowed mutably.
    Closed,
}

impl Generation {
    pub(super) fn new(table: &'static Table, snapshot: Snapshot) -> Self {
        let mut cells: Box<[OnceLock<Box<Cell>>]> = table.fields.iter().map(|_| OnceLock::new()).collect();
        if !snapshot.request_only.is_empty() {
            for (field, cell) in table.fields.iter().zip(&mut cells) {
                if field.shape == Shape::Flash {
                    cell.set(Box::new(Cell::showing(field, &snapshot.request_only))).ok();
                }
            }
        }
        Self {
            incarnation: AtomicU32::new(snapshot.incarnation),
            reset: AtomicU64::new(snapshot.reset),
            fields: snapshot.fields,
            request_only: snapshot.request_only,
            cells,
            is_changed: false,
            is_closed: false,
            is_staged: AtomicBool::new(false),
            next: OnceLock::new(),
        }
    }

    /// One that shows no fields.
    fn closed(table: &'static Table, snapshot: &Snapshot) -> Self {
        let &Snapshot { incarnation, reset, .. } = snapshot;
        let empty = Snapshot { incarnation, reset, fields: Fields::new(), request_only: Fields::new() };
        Self { is_closed: true, ..Self::new(table, empty) }
    }

    /// Which record of the request it belongs to.
    pub(super) fn incarnation(&self) -> u32 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// The number of resets of the request that it is after.
    pub(super) fn reset(&self) -> u64 {
        self.reset.load(Ordering::Acquire)
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The newest generation that follows from this one.
    pub(super) fn latest(&self) -> &Self {
        let mut latest = self;
        while let Some(next) = latest.next.get() {
            latest = next;
        }
        latest
    }

    /// The newest one, forgetting those before it: no reference into them can be left.
    pub(super) fn latest_mut(&mut self) -> &mut Self {
        while let Some(next) = self.next.take() {
            *self = *next;
        }
        self
    }

    /// Begins the next generation after the newest, unless that is of a later incarnation. One at a time.
    pub(super) fn begin(&self, table: &'static Table, snapshot: Snapshot) -> Begun {
        let (mut latest, mut length) = (self, 1);
        while let Some(next) = latest.next.get() {
            (latest, length) = (next, length + 1);
        }
        if snapshot.incarnation < latest.incarnation() {
            return Begun::Shown;
        }
        if latest.is_closed || latest.shows(&snapshot) {
            latest.incarnation.store(snapshot.incarnation, Ordering::Release);
            latest.reset.store(snapshot.reset, Ordering::Release);
            latest.is_staged.store(false, Ordering::Release);
            return Begun::Shown;
        }
        let is_last = length + 1 >= MOST;
        let next = if is_last { Self::closed(table, &snapshot) } else { Self::new(table, snapshot) };
        let set = latest.next.set(Box::new(next));
        debug_assert!(set.is_ok(), "generations begin one at a time");
        if is_last { Begun::Closed } else { Begun::Shown }
    }

    /// The number of generations from this one on.
    #[cfg(test)]
    pub(super) fn length(&self) -> usize {
        std::iter::successors(Some(self), |generation| generation.next.get().map(|next| &**next)).count()
    }

    /// True if it shows just this.
    fn shows(&self, snapshot: &Snapshot) -> bool {
        !self.is_changed && self.fields == snapshot.fields && self.request_only == snapshot.request_only
    }

    pub(super) fn value<'a>(
        &'a self,
        field: &Field,
        index: usize,
        report: OnUndecodable<'_>,
    ) -> Option<&'a Value> {
        self.cell(index).value(field, &self.fields, report)
    }

    /// True if the field is stored, sealed, and does not open.
    pub(super) fn is_unopened(&self, field: &Field) -> bool {
        if let Some(collection) = &field.collection {
            return collection::is_unopened(field, collection.kind, &self.fields);
        }
        let mut names = [field.name].into_iter().chain(field.aliases.iter().copied());
        names.find_map(|name| self.fields.get(name)).is_some_and(|stored| **stored == *UNOPENED)
    }

    pub(super) fn cell(&self, index: usize) -> &Cell {
        self.cells[index].get_or_init(Box::default)
    }

    pub(super) fn cell_mut(&mut self, index: usize) -> &mut Cell {
        self.cell(index);
        self.is_changed = true;
        match self.cells[index].get_mut() {
            Some(cell) => cell,
            // invariant: the line above put it there.
            None => unreachable!("a cell that was just made"),
        }
    }

    /// Its changes are not to be staged.
    pub(super) fn mark_staged(&self) -> bool {
        !self.is_staged.swap(true, Ordering::AcqRel)
    }

    /// Its changes, once. `now` is the store's time.
    pub(super) fn stage(&self, table: &Table, now: &dyn Fn() -> Timestamp) -> StagedChanges {
        let mut staged = StagedChanges::default();
        if !self.is_changed || self.is_staged.load(Ordering::Acquire) {
            return staged;
        }
        for (field, cell) in table.fields.iter().zip(&self.cells) {
            let Some(cell) = cell.get() else { continue };
            if let Err(error) = collect(&mut staged, field, cell, &self.fields, now) {
                staged.failure = Some((cell.changed_at(), error));
            }
        }
        // Nothing done yet leaves it open for what comes. Of two threads one hands over.
        if staged.is_empty() || self.mark_staged() { staged } else { StagedChanges::default() }
    }

    /// The stored fields that were changed and not staged. Runs no code of the fields' types.
    pub(super) fn changed(&self, table: &Table) -> Vec<FieldName> {
        if self.is_staged.load(Ordering::Acquire) {
            return Vec::new();
        }
        let cells = table.fields.iter().zip(&self.cells).filter(|(field, _)| field.shape != Shape::Skipped);
        let is_changed = |cell: &OnceLock<Box<Cell>>| cell.get().is_some_and(|cell| cell.is_changed());
        cells.filter(|(_, cell)| is_changed(cell)).map(|(field, _)| field.name()).collect()
    }

    /// Stages the flashes, and returns the names of the other changed fields, once: the session is over for those.
    pub(super) fn stage_flashes(
        &self,
        table: &Table,
        now: &dyn Fn() -> Timestamp,
    ) -> (StagedChanges, Vec<FieldName>) {
        let (mut staged, mut others) = (StagedChanges::default(), Vec::new());
        if !self.mark_staged() {
            return (staged, others);
        }
        for (field, cell) in table.fields.iter().zip(&self.cells) {
            let Some(cell) = cell.get().filter(|cell| cell.is_changed()) else { continue };
            if field.shape != Shape::Flash {
                others.push(field.name());
                continue;
            }
            if let Err(error) = cell.stage(field, &self.fields, now, &mut staged) {
                staged.failure = Some((cell.changed_at(), error));
            }
        }
        (staged, others)
    }

    /// The fields that were removed, once. Runs no code of the fields' types but of rights that were lent out for
    /// change, and that only where a panic of it is caught.
    pub(super) fn stage_removals(&self, table: &Table) -> Vec<FieldChange> {
        if !self.mark_staged() {
            return Vec::new();
        }
        let cells = table.fields.iter().zip(&self.cells);
        cells.filter_map(|(field, cell)| cell.get()?.removal(field)).collect()
    }
}

fn collect(
    staged: &mut StagedChanges,
    field: &Field,
    cell: &Cell,
    fields: &Fields,
    now: &dyn Fn() -> Timestamp,
) -> Result<(), Error> {
    cell.stage(field, fields, now, staged)?;
    cell.add_request_only_to(&mut staged.request_only, field)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    static NO_FIELDS: Table = Table::new("", &[]);

    fn of_incarnation(incarnation: u32) -> Snapshot {
        Snapshot { incarnation, reset: 0, fields: Fields::new(), request_only: Fields::new() }
    }

    fn showing(text: String) -> Snapshot {
        let fields = [("name".into(), Bytes::from(text))].into_iter().collect();
        Snapshot { fields, ..of_incarnation(0) }
    }

    /// As a `save` that read the incarnation before does, when another thread has ended the session since.
    #[test]
    fn a_handle_falls_back_into_no_ended_life() {
        let first = Generation::new(&NO_FIELDS, of_incarnation(0));
        for (begun, latest) in [(0, 0), (1, 1), (0, 1), (1, 1), (2, 2)] {
            first.begin(&NO_FIELDS, of_incarnation(begun));
            assert_eq!(first.latest().incarnation(), latest);
        }
        assert_eq!(first.length(), 1);
    }

    /// Changes of other handles are shown as long as there is room; then nothing is, until the handle is
    /// borrowed mutably.
    #[test]
    fn generations_are_bounded() {
        let mut first = Generation::new(&NO_FIELDS, of_incarnation(0));
        for round in 1..3 * MOST {
            let begun = first.begin(&NO_FIELDS, showing(round.to_string()));
            assert_eq!(begun == Begun::Closed, round == MOST - 1);
            let shown = first.latest().fields.get("name").cloned();
            assert_eq!(shown, (round < MOST - 1).then(|| round.to_string().into()));
        }
        assert_eq!(first.length(), MOST);
        // An end is one all the same.
        first.begin(&NO_FIELDS, of_incarnation(1));
        assert_eq!((first.latest().incarnation(), first.length()), (1, MOST));
        assert!(first.latest_mut().is_closed());
        assert_eq!(first.length(), 1);
    }
}
