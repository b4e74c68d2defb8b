//! The fields of a handle between two points at which its record changed under it.

use std::sync::OnceLock;

use super::{
    cell::{Cell, OnUndecodable},
    table::{Field, Shape, Table, Value},
};
use crate::{
    error::Error,
    slot::{FieldChange, Handed, Snapshot, UNOPENED},
    sync::atomic::{AtomicBool, Ordering},
    value::{FieldName, Fields},
};

/// What a handle saw at one point. `save`, `destroy` and `clear` take `&self`, while references to
/// values are out: they begin a next generation and leave this one as it is.
pub(super) struct Generation {
    /// Which record of the request it belongs to.
    pub(super) life: u32,
    /// How many boundaries of the request it is after.
    pub(super) boundary: u64,
    pub(super) fields: Fields,
    /// One per field, made when the field is first used: most handlers use few.
    cells: Box<[OnceLock<Box<Cell>>]>,
    /// Its changes have been handed over, or are not to be.
    spent: AtomicBool,
    next: OnceLock<Box<Self>>,
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
            life: snapshot.life,
            boundary: snapshot.boundary,
            fields: snapshot.fields,
            cells,
            spent: AtomicBool::new(false),
            next: OnceLock::new(),
        }
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

    /// Begins the next generation after the newest.
    pub(super) fn push(&self, next: Self) {
        let mut next = Box::new(next);
        let mut tip = self.tip();
        // Another thread may have pushed meanwhile; then this goes after that, unless that is of a later life.
        while next.life >= tip.life {
            match tip.next.set(next) {
                Ok(()) => return,
                Err(rejected) => next = rejected,
            }
            tip = tip.tip();
        }
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
    use super::*;

    static NO_FIELDS: Table = Table::new(&[]);

    fn of_life(life: u32) -> Generation {
        let (fields, request_only) = (Fields::new(), Fields::new());
        Generation::new(&NO_FIELDS, Snapshot { life, boundary: 0, fields, request_only })
    }

    /// As a `save` that read the life before does, when another thread has ended the session since.
    #[test]
    fn a_handle_falls_back_into_no_ended_life() {
        let first = of_life(0);
        for (pushed, tip) in [(0, 0), (1, 1), (0, 1), (1, 1), (2, 2)] {
            first.push(of_life(pushed));
            assert_eq!(first.tip().life, tip);
        }
    }
}
