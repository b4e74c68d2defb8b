//! Layers that are built with their views.

use std::sync::Arc;

use super::{SessionLayer, service::RequestSession};
use crate::{
    error::Error,
    event::Event,
    handle::table::Table,
    store::{AnyStore, Store},
    views::{Admission, RegisteredViews, ViewList, Views},
};

impl SessionLayer {
    /// Creates a layer that keeps sessions in `store`, and knows its views from the first request on.
    ///
    /// A layer that was made by [`new`](Self::new) meets a view at its first use. Until then an instance treats the
    /// view's fields as plain ones. A logout there drops what is `keep_on_logout`, a login keeps what is
    /// `drop_on_login`, and another view writes in plain what is `secret`. So an application of more than one view
    /// registers them.
    ///
    /// [`views!`](crate::views) compares the views with each other, and does not compile if two contradict each other.
    ///
    /// A view that is not registered is used if it is plain, with the event
    /// [`UnregisteredView`](crate::Event::UnregisteredView). Plain means: no right, no `secret`, no `keep_on_logout`,
    /// no `drop_on_login`, no `merge`, and no stored name that a registered view has otherwise. Other views are refused
    /// with the event [`Misconfigured`](crate::Event::Misconfigured).
    ///
    /// ```
    /// use sessions::{Session, SessionLayer, store::MemoryStore, views};
    ///
    /// #[derive(Session)]
    /// struct Cart {
    ///     #[session(merge = "append", keep_on_logout)]
    ///     items: Vec<u64>,
    /// }
    ///
    /// #[derive(Session)]
    /// struct Account {
    ///     #[session(identity)]
    ///     user_id: Option<u64>,
    /// }
    ///
    /// let layer = SessionLayer::with_views(MemoryStore::new(), views![Cart, Account]);
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with_views<S: Store, L: ViewList>(store: S, views: Views<L>) -> Self {
        let mut layer = Self::new(store);
        layer.register(views);
        layer
    }

    /// Creates a layer as [`with_views`](Self::with_views) does, for a store that is chosen at run time.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config): two views give one stored name different types of one name.
    pub fn try_with_views<L: ViewList>(store: AnyStore, views: Views<L>) -> Result<Self, Error> {
        let mut layer = Self::new(store);
        layer.register(views).check()?;
        Ok(layer)
    }

    fn register<L: ViewList>(&mut self, _: Views<L>) -> Arc<RegisteredViews> {
        let options = Arc::make_mut(&mut self.options);
        let views = Arc::new(RegisteredViews::new(L::__LISTED));
        for table in views.tables() {
            // A contradiction is reported by `check`, and at the first use of the view.
            let _ = table.register(&options.context.rules);
        }
        options.views = Some(Arc::clone(&views));
        views
    }
}

impl RequestSession {
    /// Admits a view, if the layer was built with views.
    ///
    /// # Errors
    ///
    /// `Config`: the view is not registered, and not plain.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub(crate) fn admit(&self, table: &'static Table) -> Result<(), Error> {
        let options = self.options();
        let Some(views) = &options.views else { return Ok(()) };
        let events = &options.context.events;
        match views.admit(table) {
            Ok(Admission::Known) => Ok(()),
            Ok(Admission::New) => {
                let error = Error::config(format!(
                    "the session view `{}` is not registered, and is used as a plain one; add it to \
                     `SessionLayer::with_views`",
                    table.view
                ));
                events.report(&Event::UnregisteredView { error: &error });
                Ok(())
            }
            Err(error) => {
                events.report(&Event::Misconfigured { error: &error });
                Err(error)
            }
        }
    }
}
