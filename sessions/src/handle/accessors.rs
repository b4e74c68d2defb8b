//! What the accessors that the derive generates call. Not public API.
//!
//! Methods whose names begin with `__`, so that no field's accessor can be shadowed by one.

use std::any::Any;

use super::{
    Handle,
    cell::{Cell, counting},
    generation::Generation,
    table::{Field, Merge, Value},
};
use crate::{
    error::{Error, ErrorKind},
    slot::Handed,
};

#[doc(hidden)]
impl Handle {
    /// A plain field.
    #[inline]
    pub fn __get<T: Any>(&self, index: usize) -> &T {
        match self.__erased(index).and_then(|value| value.downcast_ref()) {
            Some(value) => value,
            None => mismatch(),
        }
    }

    /// An `Option` field.
    #[inline]
    pub fn __get_option<T: Any>(&self, index: usize) -> Option<&T> {
        self.__erased(index).and_then(|value| value.downcast_ref())
    }

    /// An `Option<String>` field.
    pub fn __get_option_str(&self, index: usize) -> Option<&str> {
        self.__get_option::<String>(index).map(String::as_str)
    }

    /// An `Option<Vec<T>>` field.
    #[inline]
    pub fn __get_option_slice<T: Any>(&self, index: usize) -> Option<&[T]> {
        self.__get_option::<Vec<T>>(index).map(Vec::as_slice)
    }

    /// Whether an `Option` field has a value.
    pub fn __has(&self, index: usize) -> bool {
        self.__erased(index).is_some()
    }

    #[inline]
    pub fn __set<T: Any + Send + Sync>(&mut self, index: usize, value: T) {
        self.__set_erased(index, Box::new(value));
    }

    #[inline]
    pub fn __edit<T: Any>(&mut self, index: usize) -> &mut T {
        match self.__edit_erased(index).and_then(|value| value.downcast_mut()) {
            Some(value) => value,
            None => mismatch(),
        }
    }

    #[inline]
    pub fn __edit_option<T: Any>(&mut self, index: usize) -> Option<&mut T> {
        self.__edit_erased(index).and_then(|value| value.downcast_mut())
    }

    #[inline]
    pub fn __take<T: Any>(&mut self, index: usize) -> Option<T> {
        self.__take_erased(index).and_then(|value| value.downcast().ok()).map(|value| *value)
    }

    pub fn __remove(&mut self, index: usize) {
        let (cell, field) = self.__cell(index);
        cell.remove(field);
    }

    pub fn __add(&mut self, index: usize, by: i64) {
        let (cell, field) = self.__cell(index);
        cell.add(field, by);
    }

    #[inline]
    pub async fn __fetch_add<T: Any + Copy>(&mut self, index: usize, by: i64) -> Result<T, Error> {
        self.__fetch_add_erased(index, by).await?;
        Ok(*self.__get(index))
    }

    #[inline]
    pub fn __flash<T: Any + Send + Sync>(&mut self, index: usize, value: T) {
        self.__flash_erased(index, Box::new(value));
    }

    #[inline]
    pub fn __now<T: Any + Send + Sync>(&mut self, index: usize, value: T) {
        self.__now_erased(index, Box::new(value));
    }

    #[inline]
    pub fn __discard<T: Any>(&mut self, index: usize) {
        // A value for this request only may lie above the one in the store.
        while self.__take::<T>(index).is_some() {}
    }

    pub fn __keep(&mut self, index: usize) {
        let (cell, field) = self.__cell(index);
        cell.keep(field);
    }

    /// Reads the record again. Changes made so far stay, unsaved.
    pub async fn __reload(&mut self) -> Result<(), Error> {
        let tip = self.first.tip();
        self.slot.hand_over_for_save(tip.life, tip.hand_over(self.table));
        let reloaded = self.slot.reload().await;
        self.first = Generation::new(self.table, self.slot.snapshot());
        reloaded
    }

    fn __erased(&self, index: usize) -> Option<&(dyn Any + Send + Sync)> {
        let field = &self.table.fields[index];
        let tip = self.first.tip();
        tip.value(field, index, &|field, error| self.report(field, error)).map(|value| &**value)
    }

    /// The newest cell of a field, decoded.
    fn __cell(&mut self, index: usize) -> (&mut Cell, &'static Field) {
        self.__erased(index);
        (self.first.tip_mut().cell_mut(index), &self.table.fields[index])
    }

    fn __set_erased(&mut self, index: usize, value: Value) {
        match self.table.fields[index].merge {
            Merge::Last | Merge::Add => self.first.tip_mut().cell_mut(index).put(value),
            Merge::Max | Merge::Min | Merge::First => {
                let (cell, field) = self.__cell(index);
                cell.merge(field, value);
            }
        }
    }

    fn __edit_erased(&mut self, index: usize) -> Option<&mut (dyn Any + Send + Sync)> {
        let (cell, field) = self.__cell(index);
        cell.edit(field).map(|value| &mut **value)
    }

    fn __take_erased(&mut self, index: usize) -> Option<Value> {
        let (cell, field) = self.__cell(index);
        cell.take(field)
    }

    fn __flash_erased(&mut self, index: usize, value: Value) {
        self.first.tip_mut().cell_mut(index).put(value);
    }

    fn __now_erased(&mut self, index: usize, value: Value) {
        let (cell, _) = self.__cell(index);
        cell.now(value);
    }

    async fn __fetch_add_erased(&mut self, index: usize, by: i64) -> Result<(), Error> {
        let field = &self.table.fields[index];
        let generation = self.first.tip_mut();
        let (life, fields) = (generation.life, generation.fields.clone());
        // Taken out before the wait: if this future is dropped, the commit goes on all the same.
        let earlier = generation.cell_mut(index).take_ops(field, &fields)?;
        let add = counting(field, &fields, by);
        let ops = earlier.iter().cloned().chain(add).collect();
        let committed = self.slot.commit_field(field.name(), ops).await;
        let generation = self.first.tip_mut();
        match committed {
            Ok(value) => {
                if let Some(value) = value {
                    generation.fields.insert(field.name(), value);
                }
                Ok(())
            }
            Err(error) => {
                if error.kind() == ErrorKind::Unavailable {
                    let changes = earlier;
                    self.slot.hand_over_for_save(life, Handed { changes, ..Handed::default() });
                }
                Err(error)
            }
        }
    }
}

/// The derive reads and writes each field as one type.
#[cold]
fn mismatch() -> ! {
    unreachable!("the derive names one type per field")
}
