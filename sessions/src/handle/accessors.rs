//! The methods that the generated accessors call. Not public API.
//!
//! Their names begin with `__`, which no accessor's name does.

use std::any::Any;

use super::{
    Handle,
    cell::Cell,
    generation::Generation,
    merge::counting,
    table::{BoxFuture, CopyValue, Field, List, Merge, Text, Value},
};
use crate::{error::Error, slot::StagedChanges};

#[doc(hidden)]
impl Handle {
    /// Returns a plain field.
    #[inline]
    pub fn __field_get<T: Any>(&self, index: usize) -> &T {
        match self.__erased(index).and_then(|value| value.downcast_ref()) {
            Some(value) => value,
            None => mismatch(),
        }
    }

    /// Returns an `Option` field.
    #[inline]
    pub fn __field_get_option<T: Any>(&self, index: usize) -> Option<&T> {
        self.__erased(index).and_then(|value| value.downcast_ref())
    }

    /// Returns a plain field by value.
    #[inline]
    pub fn __field_copied<T: CopyValue>(&self, index: usize) -> T {
        *self.__field_get(index)
    }

    /// Returns an `Option` field by value.
    #[inline]
    pub fn __field_copied_option<T: CopyValue>(&self, index: usize) -> Option<T> {
        self.__field_get_option(index).copied()
    }

    /// Returns a `String` field.
    #[inline]
    pub fn __field_str<T: Text>(&self, index: usize) -> &str {
        self.__field_get::<T>(index).text()
    }

    /// Returns an `Option<String>` field.
    #[inline]
    pub fn __field_str_option<T: Text>(&self, index: usize) -> Option<&str> {
        self.__field_get_option(index).map(T::text)
    }

    /// Returns a `Vec<_>` field.
    #[inline]
    pub fn __field_slice<T: List>(&self, index: usize) -> &[T::Item] {
        self.__field_get::<T>(index).items()
    }

    /// Returns an `Option<Vec<_>>` field.
    #[inline]
    pub fn __field_slice_option<T: List>(&self, index: usize) -> Option<&[T::Item]> {
        self.__field_get_option(index).map(T::items)
    }

    /// Clones a plain field for the snapshot.
    #[inline]
    pub fn __field_cloned<T: Any + Clone>(&self, index: usize) -> T {
        self.__field_get::<T>(index).clone()
    }

    /// Clones an `Option` field for the snapshot.
    #[inline]
    pub fn __field_cloned_option<T: Any + Clone>(&self, index: usize) -> Option<T> {
        self.__field_get_option(index).cloned()
    }

    /// Returns true if an `Option` field has a value.
    pub fn __field_has(&self, index: usize) -> bool {
        self.__erased(index).is_some()
    }

    #[inline]
    pub fn __field_set<T: Any>(&mut self, index: usize, value: T) {
        self.__set_erased(index, &mut Some(value));
    }

    #[inline]
    pub fn __field_set_into<T: Any>(&mut self, index: usize, value: impl Into<T>) {
        self.__field_set::<T>(index, value.into());
    }

    #[inline]
    pub fn __field_edit<T: Any>(&mut self, index: usize) -> &mut T {
        match self.__edit_erased(index).and_then(|value| value.downcast_mut()) {
            Some(value) => value,
            None => mismatch(),
        }
    }

    #[inline]
    pub fn __field_edit_option<T: Any>(&mut self, index: usize) -> Option<&mut T> {
        self.__edit_erased(index).and_then(|value| value.downcast_mut())
    }

    #[inline]
    pub fn __field_take<T: Any>(&mut self, index: usize) -> Option<T> {
        self.__take_erased(index).and_then(|value| value.downcast().ok()).map(|value| *value)
    }

    pub fn __field_remove(&mut self, index: usize) {
        let (cell, field) = self.__cell(index);
        cell.remove(field);
        self.stage_right(field);
    }

    pub fn __field_add(&mut self, index: usize, by: i64) {
        let (cell, field) = self.__cell(index);
        cell.add(field, by);
    }

    pub fn __field_fetch_add<T: Any>(&mut self, index: usize, by: i64) -> BoxFuture<'_, Result<T, Error>> {
        Box::pin(async move {
            self.__fetch_add_erased(index, by).await.map_err(Error::in_request)?;
            match self.__number(index).and_then(|sum| sum.downcast().ok()) {
                Some(sum) => Ok(*sum),
                None => mismatch(),
            }
        })
    }

    #[inline]
    pub fn __field_flash<T: Any>(&mut self, index: usize, value: T) {
        self.__flash_erased(index, &mut Some(value));
    }

    #[inline]
    pub fn __field_flash_into<T: Any>(&mut self, index: usize, value: impl Into<T>) {
        self.__field_flash::<T>(index, value.into());
    }

    /// Pushes an item to a list of flashes.
    #[inline]
    pub fn __field_flash_item<T: Any>(&mut self, index: usize, item: T) {
        self.__field_edit::<Vec<T>>(index).push(item);
    }

    #[inline]
    pub fn __field_flash_item_into<T: Any>(&mut self, index: usize, item: impl Into<T>) {
        self.__field_flash_item::<T>(index, item.into());
    }

    /// Takes all items out of a list of flashes.
    #[inline]
    pub fn __field_take_list<T: Any + Default>(&mut self, index: usize) -> T {
        let taken = self.__take_list_erased(index).and_then(|value| value.downcast().ok());
        taken.map(|value| *value).unwrap_or_default()
    }

    /// Removes all items of a list of flashes, undelivered.
    pub fn __field_discard_list(&mut self, index: usize) {
        self.__take_list_erased(index);
    }

    #[inline]
    pub fn __field_flash_now<T: Any>(&mut self, index: usize, value: T) {
        self.__flash_now_erased(index, &mut Some(value));
    }

    #[inline]
    pub fn __field_flash_now_into<T: Any>(&mut self, index: usize, value: impl Into<T>) {
        self.__field_flash_now::<T>(index, value.into());
    }

    #[inline]
    pub fn __field_discard<T: Any>(&mut self, index: usize) {
        // A value for this request only may hide the one in the store, so it is taken too.
        while self.__field_take::<T>(index).is_some() {}
    }

    pub fn __field_keep(&mut self, index: usize) {
        let (cell, field) = self.__cell(index);
        cell.keep(field);
    }

    /// Reads the record again. The changes made so far stay, unsaved.
    ///
    /// A call that was begun is finished, even if the future is dropped.
    pub fn __reload(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let latest = self.first.latest();
            let incarnation = latest.incarnation();
            let taken = self.slot.stage_for_later(self.number, incarnation, self.changes_of(latest));
            let reloaded = self.slot.reload(self.table.names()).await;
            self.first = Generation::new(self.table, self.slot.snapshot_of(incarnation));
            taken.and(reloaded).map_err(Error::in_request)
        })
    }

    fn __erased(&self, index: usize) -> Option<&(dyn Any + Send + Sync)> {
        self.refresh_if_reset();
        let field = &self.table.fields[index];
        let latest = self.first.latest();
        latest.value(field, index, &|field, error| self.report(field, error)).map(|value| &**value)
    }

    /// Copies an integer.
    ///
    /// There is no bound on the type: the table has it.
    fn __number(&self, index: usize) -> Option<Value> {
        let counter = self.table.fields[index].counter?;
        self.__erased(index).map(|value| (counter.put)((counter.get)(value)))
    }

    /// Returns the newest cell of a field, decoded.
    fn __cell(&mut self, index: usize) -> (&mut Cell, &'static Field) {
        let field = &self.table.fields[index];
        self.__refresh();
        // No refresh in between: the value that is changed must be the one that was decoded.
        self.first.value(field, index, &|field, error| self.report(field, error));
        (self.__changed(index), field)
    }

    /// Returns the newest cell of a field that is about to be changed.
    fn __undecoded(&mut self, index: usize) -> &mut Cell {
        self.__refresh();
        self.__changed(index)
    }

    /// Leaves one generation, which shows what is left if another handle has ended fields.
    fn __refresh(&mut self) {
        self.cut();
        self.refresh_if_reset();
        self.cut();
    }

    fn __changed(&mut self, index: usize) -> &mut Cell {
        let at = self.slot.next_change();
        self.first.cell_mut(index).changed(at)
    }

    fn __set_erased(&mut self, index: usize, value: &mut dyn Any) {
        let value = self.__boxed(index, value);
        let field = &self.table.fields[index];
        if field.class.is_right() && Cell::is_of_default(field, &value) {
            // The default of a right is its absence.
            return self.__field_remove(index);
        }
        match field.merge {
            Merge::Last | Merge::Add => self.__undecoded(index).put(value),
            Merge::Max | Merge::Min | Merge::First => {
                let (cell, field) = self.__cell(index);
                cell.merge(field, value);
            }
        }
        self.stage_identity(&self.table.fields[index]);
    }

    fn __edit_erased(&mut self, index: usize) -> Option<&mut (dyn Any + Send + Sync)> {
        let (cell, field) = self.__cell(index);
        cell.edit(field).map(|value| &mut **value)
    }

    fn __take_erased(&mut self, index: usize) -> Option<Value> {
        let (cell, field) = self.__cell(index);
        let taken = cell.take(field);
        self.stage_right(field);
        taken
    }

    fn __take_list_erased(&mut self, index: usize) -> Option<Value> {
        let (cell, field) = self.__cell(index);
        cell.take_list(field)
    }

    fn __flash_erased(&mut self, index: usize, value: &mut dyn Any) {
        let value = self.__boxed(index, value);
        self.__undecoded(index).put(value);
    }

    fn __flash_now_erased(&mut self, index: usize, value: &mut dyn Any) {
        let value = self.__boxed(index, value);
        let (cell, _) = self.__cell(index);
        cell.show_once(value);
    }

    /// Takes the value out of an `Option` of the field's type.
    fn __boxed(&self, index: usize, value: &mut dyn Any) -> Value {
        match (self.table.fields[index].boxed)(value) {
            Some(value) => value,
            None => mismatch(),
        }
    }

    async fn __fetch_add_erased(&mut self, index: usize, by: i64) -> Result<(), Error> {
        let (field, at) = (&self.table.fields[index], self.slot.next_change());
        let generation = self.cut();
        let (incarnation, fields) = (generation.incarnation(), generation.fields.clone());
        // Staged before the wait: if this future is dropped, the commit goes on all the same.
        let earlier = generation.cell_mut(index).take_change(field, &fields)?;
        let staged = StagedChanges { changes: earlier.into_iter().collect(), ..StagedChanges::default() };
        self.slot.stage_for_field(self.number, incarnation, staged, &field.name())?;
        let Some(add) = counting(field, &fields, by, at) else { mismatch() };
        let committed = self.slot.commit_field(self.number, incarnation, add).await;
        self.slot.acknowledge(self.number, committed.is_err());
        // The field as it is now, whether the commit succeeded or not.
        let visible = self.slot.snapshot_of(incarnation).fields;
        let fields = &mut self.cut().fields;
        match visible.get(field.name) {
            Some(value) => fields.insert(field.name(), value.clone()),
            None => fields.remove(field.name),
        }
        committed
    }
}

/// Panics: the derive reads and writes each field as one type, so no caller gets here.
#[cold]
fn mismatch() -> ! {
    unreachable!("the derive names one type per field")
}
