//! The views that a layer was built with, and the judgement of a view that is not among them.

use std::sync::PoisonError;

use super::{
    ListedViews,
    contradiction::{self, NamedFields},
    property::Property,
};
use crate::{
    error::Error,
    handle::table::{Shape, Table},
    sync::RwLock,
};

/// The views of a layer.
#[derive(Debug)]
pub(crate) struct RegisteredViews {
    registered: Vec<JudgedView>,
    /// Views that are not registered and were used all the same.
    others: RwLock<Vec<JudgedView>>,
}

/// A view, and the reason for which it cannot be used.
#[derive(Clone, Debug)]
struct JudgedView {
    table: &'static Table,
    fault: Option<String>,
}

/// The outcome for a view that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is registered, or was met before.
    Known,
    /// It is not registered, and was not met before.
    New,
}

impl RegisteredViews {
    /// Registers the views of a list.
    pub(crate) fn new(list: &ListedViews) -> Self {
        let tables = list.tables();
        let judged = |table: &&'static Table| JudgedView { table, fault: contradiction(table, &tables) };
        Self { registered: tables.iter().map(judged).collect(), others: RwLock::default() }
    }

    /// Returns the tables of the views.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static Table> {
        self.registered.iter().map(|view| view.table)
    }

    /// Checks the views against each other.
    ///
    /// # Errors
    ///
    /// `Config`: two views contradict each other.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.registered.iter().try_for_each(|view| view.admission(Admission::Known).map(drop))
    }

    /// Admits a view to a request.
    ///
    /// One that is not registered is used if it is plain: it has no right, no secret, nothing that a login or logout
    /// treats in its own way, no merge, and no name that a registered view has otherwise.
    ///
    /// # Errors
    ///
    /// `Config`: the view cannot be used.
    pub(crate) fn admit(&self, table: &'static Table) -> Result<Admission, Error> {
        let is_it = |view: &&JudgedView| std::ptr::eq(view.table, table);
        if let Some(view) = self.registered.iter().find(is_it) {
            return view.admission(Admission::Known);
        }
        if let Some(view) = self.others.read().unwrap_or_else(PoisonError::into_inner).iter().find(is_it) {
            return view.admission(Admission::Known);
        }
        let fault = self.fault_of_unregistered(table);
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have been faster.
        if let Some(view) = others.iter().find(is_it) {
            return view.admission(Admission::Known);
        }
        let view = JudgedView { table, fault };
        others.push(view.clone());
        view.admission(Admission::New)
    }

    fn fault_of_unregistered(&self, table: &'static Table) -> Option<String> {
        for field in table.fields.iter().filter(|field| field.shape != Shape::Skipped) {
            if let Some(property) = Property::ALL.into_iter().find(|property| !property.is_plain(field)) {
                let (before, after) = property.around();
                return Some(format!(
                    "the session view `{}` is not registered, and its field `{}` is {before}{}{after}, which the \
                     layer must know before the first request; add the view to `SessionLayer::with_views`",
                    table.view,
                    field.name,
                    property.of(field)
                ));
            }
        }
        contradiction(table, &self.tables().collect::<Vec<_>>())
    }
}

impl JudgedView {
    fn admission(&self, admission: Admission) -> Result<Admission, Error> {
        self.fault.clone().map_or(Ok(admission), |fault| Err(Error::config(fault)))
    }
}

/// Returns the first contradiction between a view and these.
fn contradiction(table: &'static Table, others: &[&'static Table]) -> Option<String> {
    let named = |table: &'static Table| -> NamedFields { (table.view, table.fields) };
    let found = others.iter().find_map(|other| contradiction::between_running(named(table), named(other)))?;
    Some(found.message().as_str().to_owned())
}
