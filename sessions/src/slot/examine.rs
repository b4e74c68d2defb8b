//! The rights of a loaded record: those that its credentials name, if they can be read.

use std::sync::Arc;

use super::{
    Slot,
    field_rules::{OnInvalid, Rule},
    record::LiveRecord,
    secrets::{UNOPENED, UnopenedSecret, open_secrets},
};
use crate::{
    error::Error,
    event::Event,
    value::{FieldName, RecordId},
};

impl Slot {
    /// Makes of what was loaded what the request sees. Secret fields among these names are opened. What a view calls a
    /// right and the credentials do not name is absent. Where a right cannot be read, the record is as after a logout.
    ///
    /// It runs code of the fields' types, so not under the state's lock.
    ///
    /// # Errors
    ///
    /// A right that refuses the request: it was tampered with, or its view says `reject`.
    pub(super) fn examine(&self, live: &mut LiveRecord, names: &[FieldName]) -> Result<(), Error> {
        let rules = &self.context().rules;
        if !rules.has_any() {
            return Ok(());
        }
        let number = rules.number();
        let rights = if live.examined == number { Arc::default() } else { rules.rights() };
        for name in rights.iter().flat_map(Rule::names) {
            if live.fields.contains(name.as_str()) && !live.authority.rights.contains(&name) {
                live.fields.remove(name.as_str());
                self.context().events.report(&Event::UnnamedRight { record: live.id, field: &name });
            }
        }
        let mut unopened = open_secrets(live, self.context(), names);
        let others: Vec<_> =
            rights.iter().flat_map(Rule::names).filter(|name| !names.contains(name)).collect();
        unopened.extend(open_secrets(live, self.context(), &others));
        let mut refusal = self.withhold_unopened(live, &unopened);
        for rule in rights.iter() {
            let Some((name, value)) = rule.stored(&live.fields) else { continue };
            let Some(Err(error)) = (**value != *UNOPENED).then(|| (rule.decode)(value)) else { continue };
            self.report_undecodable(live.id, &name, &crate::error::json_reason(&error));
            if rule.on_invalid == OnInvalid::Reject {
                refusal.get_or_insert_with(|| undecodable(&name));
            } else {
                live.is_withheld = true;
            }
        }
        if live.is_withheld {
            live.fields.retain(&live.kept_on_logout(rules));
        }
        refusal.map_or(Ok(()), Err)?;
        live.examined = number;
        Ok(())
    }

    /// Withholds the record where a secret's key is missing, or where a right is stored in plain, as for any right that
    /// does not decode. Returns the error that refuses the request.
    fn withhold_unopened(&self, live: &mut LiveRecord, unopened: &[UnopenedSecret]) -> Option<Error> {
        let rules = &self.context().rules;
        let mut refusal = None;
        for UnopenedSecret { name, reason, is_key_missing, is_plain } in unopened {
            self.report_undecodable(live.id, name, reason);
            let (on_missing, is_right) = (rules.on_missing_key(name), rules.of(name).is_right());
            if (*is_key_missing || (*is_plain && is_right)) && on_missing == OnInvalid::Withhold {
                live.is_withheld = true;
                live.fields.remove(name.as_str());
            } else if is_right && !(*is_key_missing && on_missing == OnInvalid::Reset) {
                refusal.get_or_insert_with(|| undecodable(name));
            }
        }
        refusal
    }

    fn report_undecodable(&self, record: RecordId, field: &FieldName, reason: &str) {
        let (record, field) = (Some(record), &field.declared());
        self.context().events.report(&Event::UndecodableField { record, field, reason });
    }
}

fn undecodable(name: &FieldName) -> Error {
    Error::invalid_field(name, "is stored in a form that does not decode")
}
