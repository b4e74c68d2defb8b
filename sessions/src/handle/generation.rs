//! The fields of a handle between two points at which its record changed under it.

use std::sync::OnceLock;

use super::{
    cell::{Cell, OnUndecodable},
    table::{Field, Shape, Table, Value},
};
use crate::{
    error::Error,
    slot::{FieldChange, Handed, Snapshot, UNOPENED},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    value::{FieldName, Fields},
};

/// The most generations that a handle keeps until it is borrowed mutably.
const MOST: usize = 64;

/// What a handle saw at one point. `save`, `destroy` and `clear` take `&self`, while references to
/// values are out: they begin a next generation and leave this one as it is.
///
/// A generation in which nothing was changed, and which shows what the next one would, serves in the
/// next one's place. Fields change through `&mut` only, which leaves one generation. So a handle by itself
/// has two at most, however often it saves; more come from what other handles of the request change.
pub(super) struct Generation {
    /// Which record of the request it belongs to.
    life: AtomicU32,
    /// How many boundaries of the request it is after.
    boundary: AtomicU64,
    pub(super) fields: Fields,
    /// What the request shows for itself only.
    request_only: Fields,
    /// One per field, made when the field is first used: most handlers use few.
    cells: Box<[OnceLock<Box<Cell>>]>,
    /// Whether a field was changed in it.
    is_changed: bool,
    /// The last one there is room for: it shows no fields.
    is_closed: bool,
    /// Its changes have been handed over, or are not to be.
    spent: AtomicBool,
    next: OnceLock<Box<Self>>,
}

/// What came of beginning a generation.
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
            life: AtomicU32::new(snapshot.life),
            boundary: AtomicU64::new(snapshot.boundary),
            fields: snapshot.fields,
            request_only: snapshot.request_only,
            cells,
            is_changed: false,
            is_closed: false,
            spent: AtomicBool::new(false),
            next: OnceLock::new(),
        }
    }

    /// One that shows no fields.
    fn closed(table: &'static Table, snapshot: &Snapshot) -> Self {
        let &Snapshot { life, boundary, .. } = snapshot;
        let empty = Snapshot { life, boundary, fields: Fields::new(), request_only: Fields::new() };
        Self { is_closed: true, ..Self::new(table, empty) }
    }

    /// Which record of the request it belongs to.
    pub(super) fn life(&self) -> u32 {
        self.life.load(Ordering::Acquire)
    }

    /// How many boundaries of the request it is after.
    pub(super) fn boundary(&self) -> u64 {
        self.boundary.load(Ordering::Acquire)
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The newest generation that follows from this one.
    pub(super) fn tip(&self) -> &Self {
        let mut tip = self;
        while let Some(next) = tip.next.get() {
            tip = next;
        }
        tip
    }

    /// The newest one, forgetting those before it: nobody can have a reference into them.
    pub(super) fn tip_mut(&mut self) -> &mut Self {
        while let Some(next) = self.next.take() {
            *self = *next;
        }
        self
    }

    /// Begins the next generation after the newest, unless that is of a later life. One at a time.
    pub(super) fn begin(&self, table: &'static Table, snapshot: Snapshot) -> Begun {
        let (mut tip, mut length) = (self, 1);
        while let Some(next) = tip.next.get() {
            (tip, length) = (next, length + 1);
        }
        if snapshot.life < tip.life() {
            return Begun::Shown;
        }
        if tip.is_closed || tip.shows(&snapshot) {
            tip.life.store(snapshot.life, Ordering::Release);
            tip.boundary.store(snapshot.boundary, Ordering::Release);
            tip.spent.store(false, Ordering::Release);
            return Begun::Shown;
        }
        let is_last = length + 1 >= MOST;
        let next = if is_last { Self::closed(table, &snapshot) } else { Self::new(table, snapshot) };
        let set = tip.next.set(Box::new(next));
        debug_assert!(set.is_ok(), "generations begin one at a time");
        if is_last { Begun::Closed } else { Begun::Shown }
    }

    /// How many there are from this one on.
    #[cfg(test)]
    pub(super) fn length(&self) -> usize {
        std::iter::successors(Some(self), |generation| generation.next.get().map(|next| &**next)).count()
    }

    /// Whether it shows just this.
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

    /// Whether the field is stored, sealed, and does not open.
    pub(super) fn is_unopened(&self, field: &Field) -> bool {
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

    /// Its changes are not to be handed over.
    pub(super) fn spend(&self) -> bool {
        !self.spent.swap(true, Ordering::AcqRel)
    }

    /// Its changes, once.
    pub(super) fn hand_over(&self, table: &Table) -> Handed {
        let mut handed = Handed::default();
        if self.spent.load(Ordering::Acquire) {
            return handed;
        }
        for (field, cell) in table.fields.iter().zip(&self.cells) {
            let Some(cell) = cell.get() else { continue };
            if let Err(error) = collect(&mut handed, field, cell, &self.fields) {
                handed.failure = Some((cell.changed_at(), error));
            }
        }
        // Nothing done yet leaves it open for what comes. Of two threads one hands over.
        if handed.is_empty() || self.spend() { handed } else { Handed::default() }
    }

    /// The stored fields that were changed and not handed over. Runs no code of the fields' types.
    pub(super) fn changed(&self, table: &Table) -> Vec<FieldName> {
        if self.spent.load(Ordering::Acquire) {
            return Vec::new();
        }
        let cells = table.fields.iter().zip(&self.cells).filter(|(field, _)| field.shape != Shape::Skipped);
        let is_changed = |cell: &OnceLock<Box<Cell>>| cell.get().is_some_and(|cell| cell.is_changed());
        cells.filter(|(_, cell)| is_changed(cell)).map(|(field, _)| field.name()).collect()
    }

    /// What was flashed, and the names of what else was changed, once: the session is over for the rest.
    pub(super) fn hand_over_flashes(&self, table: &Table) -> (Handed, Vec<FieldName>) {
        let (mut handed, mut others) = (Handed::default(), Vec::new());
        if !self.spend() {
            return (handed, others);
        }
        for (field, cell) in table.fields.iter().zip(&self.cells) {
            let Some(cell) = cell.get().filter(|cell| cell.is_changed()) else { continue };
            if field.shape != Shape::Flash {
                others.push(field.name());
                continue;
            }
            match cell.change(field, &self.fields) {
                Ok(change) => handed.changes.extend(change),
                Err(error) => handed.failure = Some((cell.changed_at(), error)),
            }
        }
        (handed, others)
    }

    /// The fields that were removed, once. Runs no code of the fields' types but of rights that were lent out for
    /// change, and that only where a panic of it is caught.
    pub(super) fn hand_over_removals(&self, table: &Table) -> Vec<FieldChange> {
        if !self.spend() {
            return Vec::new();
        }
        let cells = table.fields.iter().zip(&self.cells);
        cells.filter_map(|(field, cell)| cell.get()?.removal(field)).collect()
    }
}

fn collect(handed: &mut Handed, field: &Field, cell: &Cell, fields: &Fields) -> Result<(), Error> {
    handed.changes.extend(cell.change(field, fields)?);
    cell.add_request_only_to(&mut handed.request_only, field)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    static NO_FIELDS: Table = Table::new(&[]);

    fn of_life(life: u32) -> Snapshot {
        Snapshot { life, boundary: 0, fields: Fields::new(), request_only: Fields::new() }
    }

    fn showing(text: String) -> Snapshot {
        let fields = [("name".into(), Bytes::from(text))].into_iter().collect();
        Snapshot { fields, ..of_life(0) }
    }

    /// As a `save` that read the life before does, when another thread has ended the session since.
    #[test]
    fn a_handle_falls_back_into_no_ended_life() {
        let first = Generation::new(&NO_FIELDS, of_life(0));
        for (begun, tip) in [(0, 0), (1, 1), (0, 1), (1, 1), (2, 2)] {
            first.begin(&NO_FIELDS, of_life(begun));
            assert_eq!(first.tip().life(), tip);
        }
        assert_eq!(first.length(), 1);
    }

    /// What other handles change is shown as long as there is room; then nothing is, until the handle is
    /// borrowed mutably.
    #[test]
    fn generations_are_bounded() {
        let mut first = Generation::new(&NO_FIELDS, of_life(0));
        for round in 1..3 * MOST {
            let begun = first.begin(&NO_FIELDS, showing(round.to_string()));
            assert_eq!(begun == Begun::Closed, round == MOST - 1);
            let shown = first.tip().fields.get("name").cloned();
            assert_eq!(shown, (round < MOST - 1).then(|| round.to_string().into()));
        }
        assert_eq!(first.length(), MOST);
        // An end is one all the same.
        first.begin(&NO_FIELDS, of_life(1));
        assert_eq!((first.tip().life(), first.length()), (1, MOST));
        assert!(first.tip_mut().is_closed());
        assert_eq!(first.length(), 1);
    }
}
