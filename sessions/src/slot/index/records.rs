//! The records of a value: listed by their entries, and looked at.

use super::{super::LayerContext, IndexedValue, at_once};
use crate::{
    error::{Error, ErrorKind},
    store::{
        Loaded,
        index::{IndexChange, IndexEntry, IndexFuture},
    },
    value::{Authority, FieldName, Fields, RecordId, Timestamp},
};

/// A living record that has a value.
#[derive(Clone, Debug)]
pub(crate) struct FoundRecord {
    pub(crate) id: RecordId,
    pub(crate) created: Timestamp,
    pub(crate) touched: Timestamp,
    pub(crate) fields: Fields,
}

impl LayerContext {
    /// Finds the living records of a value, with these fields. Entries of others are removed.
    pub(crate) async fn find_records(
        &self,
        value: &IndexedValue,
        names: &[FieldName],
    ) -> Result<Vec<FoundRecord>, Error> {
        let listed = self.change_index(value.key, IndexChange::List).await?;
        let names = names_for(value, names);
        let mut looks = Vec::<IndexFuture<'_, _>>::with_capacity(listed.entries.len());
        for entry in &listed.entries {
            looks.push(Box::pin(self.look(entry.id, value, &names)));
        }
        let (mut found, mut stale, mut failure) = (Vec::new(), Vec::new(), None);
        for (entry, look) in listed.entries.iter().zip(at_once(looks).await) {
            match look {
                Ok(Some(record)) => found.push(record),
                Ok(None) if entry.is_held(listed.now) => {}
                Ok(None) => stale.push((entry.id, Some(entry.stamp))),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        if !stale.is_empty() {
            // An entry without a record does no harm, and the next listing tries again.
            let _ = self.change_index(value.key, IndexChange::Leave(stale)).await;
        }
        Ok(found)
    }

    /// Looks at the records of entries: `None` while a commit may be on its way, else true if it lives and has the value.
    pub(super) async fn look_at(
        &self,
        entries: &[IndexEntry],
        now: Timestamp,
        value: &IndexedValue,
    ) -> Result<Vec<Option<bool>>, Error> {
        let names = names_for(value, &[]);
        let mut looks = Vec::<IndexFuture<'_, _>>::with_capacity(entries.len());
        for entry in entries {
            let (names, is_held, id) = (&names, entry.is_held(now), entry.id);
            looks.push(Box::pin(async move {
                if is_held {
                    return Ok(None);
                }
                self.look(id, value, names).await.map(|found| Some(found.is_some()))
            }));
        }
        at_once(looks).await.into_iter().collect()
    }

    /// Looks at one record. Returns it if it lives and has the value.
    async fn look(
        &self,
        id: RecordId,
        value: &IndexedValue,
        names: &[FieldName],
    ) -> Result<Option<FoundRecord>, Error> {
        let loaded = match self.in_time(self.store.load(id, names)).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Unreadable => return Ok(None),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => return Err(Error::unavailable(error)),
            Err(error) => return Err(error),
        };
        let Some(authority) = Authority::read(&loaded.credentials) else { return Ok(None) };
        if !self.is_alive(&loaded, &authority) || !has_value(value, &loaded, &authority) {
            return Ok(None);
        }
        let Loaded { created, touched, mut fields, .. } = loaded;
        for name in names.iter().filter(|name| self.rules.is_secret(name)) {
            fields.remove(name.as_str());
        }
        Ok(Some(FoundRecord { id, created, touched, fields }))
    }
}

/// A right counts only if the record's credentials name it.
fn has_value(value: &IndexedValue, loaded: &Loaded, authority: &Authority) -> bool {
    let is_named = || value.condition.names.iter().any(|name| authority.rights.contains(name));
    value.condition.is_met_by(&loaded.fields) && (!value.is_right || is_named())
}

/// These names, and those of the indexed field.
fn names_for(value: &IndexedValue, names: &[FieldName]) -> Vec<FieldName> {
    let mut all = names.to_vec();
    all.extend(value.condition.names.iter().filter(|name| !names.contains(name)).cloned());
    all
}
