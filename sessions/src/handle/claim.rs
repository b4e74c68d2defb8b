//! Claims: a value that exactly one of all concurrent requests gets.

use bytes::Bytes;

use super::{
    Handle,
    cell::Cell,
    decoded::Decoded,
    merge::change_of,
    table::{Field, Value},
};
use crate::{
    delta::Op,
    error::Error,
    slot::{FieldChange, StagedChanges},
    value::{FieldName, Fields},
};

impl Handle {
    /// Takes a flash in the store, now. `None` if there is none, or if another request got it.
    pub(super) async fn claim_erased(&mut self, index: usize) -> Result<Option<Value>, Error> {
        if self.slot.is_unseen() {
            // A value that no user sees is not delivered, and stays for the request that they make.
            return Ok(None);
        }
        self.refresh_if_reset();
        let field = &self.table.fields[index];
        let generation = self.cut();
        let (incarnation, fields) = (generation.incarnation(), generation.fields.clone());
        // Staged before the wait: if this future is dropped, the commit goes on all the same.
        let earlier = generation.cell_mut(index).take_change(field, &fields)?;
        let staged = StagedChanges { changes: earlier.into_iter().collect(), ..StagedChanges::default() };
        if !staged.is_empty() {
            self.slot.stage_for_later(self.number, incarnation, staged)?;
        }
        let fields = self.slot.snapshot_of(incarnation).fields;
        let Some((removal, value)) = self.found(field, &fields) else {
            self.show(field, &fields);
            return Ok(None);
        };
        let committed = self.slot.commit_field(self.number, incarnation, removal).await;
        self.slot.acknowledge(self.number, committed.is_err());
        let fields = self.slot.snapshot_of(incarnation).fields;
        self.show(field, &fields);
        match committed {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.changed_field().is_some() => {
                // Another request has it. What is shown is what this one loaded.
                self.hide(field, index);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The value of a flash, and the change that takes it while it is the one in the store.
    fn found(&self, field: &Field, fields: &Fields) -> Option<(FieldChange, Value)> {
        let value = Decoded::new(field, fields, &|field, error| self.report(field, error)).value?;
        let removal = |stored: &Bytes| {
            let op = Op::ReplaceIf { expected: Some(stored.clone()), value: None };
            // A flash under another name is another one, and stays.
            FieldChange { is_flash: true, aliases: &[], ..change_of(field, op, self.slot.next_change()) }
        };
        if let Some(stored) = fields.get(field.name) {
            return Some((removal(stored), value));
        }
        let (alias, stored) =
            field.aliases.iter().copied().find_map(|alias| Some((alias, fields.get(alias)?)))?;
        Some((FieldChange { name: FieldName::from_static(alias), ..removal(stored) }, value))
    }

    /// Shows a field as the request now sees it.
    fn show(&mut self, field: &Field, visible: &Fields) {
        let fields = &mut self.cut().fields;
        for name in [field.name].into_iter().chain(field.aliases.iter().copied()) {
            match visible.get(name) {
                Some(value) => fields.insert(FieldName::from_static(name), value.clone()),
                None => fields.remove(name),
            }
        }
    }

    /// Shows a flash as gone.
    fn hide(&mut self, field: &Field, index: usize) {
        let generation = self.cut();
        for name in [field.name].into_iter().chain(field.aliases.iter().copied()) {
            generation.fields.remove(name);
        }
        let cell: &mut Cell = generation.cell_mut(index);
        cell.forget();
    }
}
