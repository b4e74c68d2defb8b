//! Lists of views: what a layer knows of its views before the first request, and what two views must agree on.

mod contradiction;
mod described;
mod names;
mod property;
mod registered;
mod text;

use std::{fmt, marker::PhantomData};

use self::names::ListedNames;
pub(crate) use self::{
    described::{DescribedField, described},
    property::Property,
    registered::{Admission, RegisteredViews},
};
use crate::handle::table::{Field, Table};

/// A list of views, made by [`views!`](crate::views), for [`SessionLayer::with_views`](crate::SessionLayer::with_views).
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
pub struct Views<L>(PhantomData<fn() -> L>);

/// A view, or a list of views: what may stand in [`views!`](crate::views).
///
/// [`derive(Session)`](macro@crate::Session) and [`views!`](crate::views) implement it; no program does so by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a session view nor a list of them",
    label = "not a view",
    note = "derive it: `#[derive(sessions::Session)] struct {Self} {{ … }}`",
    note = "a list of views for other crates is `sessions::views! {{ pub type MyViews = [Cart, Account]; }}`"
)]
pub trait ViewList: 'static {
    /// The views.
    #[doc(hidden)]
    const __LISTED: &'static ListedViews;
}

/// The views of a list, for the compiler to compare. Not public API.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum ListedViews {
    None,
    One { view: &'static str, fields: &'static [Field], table: fn() -> &'static Table },
    Both(&'static ListedViews, &'static ListedViews),
}

impl<L> Views<L> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new() -> Self {
        Self(PhantomData)
    }
}

impl ViewList for () {
    const __LISTED: &'static ListedViews = &ListedViews::None;
}

impl<A: ViewList, B: ViewList> ViewList for (A, B) {
    const __LISTED: &'static ListedViews = &ListedViews::Both(A::__LISTED, B::__LISTED);
}

impl<L: ViewList> ViewList for Views<L> {
    const __LISTED: &'static ListedViews = L::__LISTED;
}

/// Compares the views of a list with each other. Not public API.
///
/// [`views!`](crate::views) leaves a constant that calls this in the user's crate, where `cargo check` evaluates it.
///
/// # Panics
///
/// If two views contradict each other: in a constant, that is a compile error with this message.
#[doc(hidden)]
#[track_caller]
pub const fn check_views<L: ViewList>() {
    if let Some(contradiction) = ListedNames::new().add_list(L::__LISTED) {
        contradiction.report();
    }
}

impl ListedViews {
    /// Returns the tables of the views, each once.
    pub(crate) fn tables(&self) -> Vec<&'static Table> {
        let mut tables = Vec::new();
        self.add_to(&mut tables);
        tables
    }

    fn add_to(&self, tables: &mut Vec<&'static Table>) {
        match self {
            Self::None => {}
            Self::One { table, .. } => {
                let table = table();
                if !tables.iter().any(|known| std::ptr::eq(*known, table)) {
                    tables.push(table);
                }
            }
            Self::Both(first, second) => {
                first.add_to(tables);
                second.add_to(tables);
            }
        }
    }
}

impl<L> Clone for Views<L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Views<L> {}

impl<L: ViewList> fmt::Debug for Views<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Views").field(L::__LISTED).finish()
    }
}

impl fmt::Debug for ListedViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tables().iter().map(|table| table.view)).finish()
    }
}

/// Lists views for [`SessionLayer::with_views`](crate::SessionLayer::with_views), and compares them with each other.
///
/// It does not compile, under `cargo check` too, if two views give one stored name different types or meanings:
/// `identity`, `privilege`, `keep_on_logout`, `drop_on_login`, `secret`, `merge`, `#[flash]`. Older names
/// (`alias`) count as names. The message names the field, both views and the way out.
///
/// Types are compared as they are written, without paths, and by size. Two spellings of one type, such as `UserId` and
/// `u64`, need one name in both views: `#[session(type = "user-id")]`. Different types of one name and size are found
/// when the layer is built or first used.
///
/// Lists nest. A crate with views exports one list, under a name:
///
/// ```
/// mod shop {
///     use sessions::{Session, views};
///
///     #[derive(Session)]
///     #[session(namespace = "shop")]
///     pub struct Cart {
///         #[session(merge = "append", keep_on_logout)]
///         items: Vec<u64>,
///     }
///
///     #[derive(Session)]
///     #[session(namespace = "shop")]
///     pub struct Checkout {
///         address: Option<String>,
///     }
///
///     views! {
///         /// The views of the shop.
///         pub type ShopViews = [Cart, Checkout];
///     }
/// }
///
/// use sessions::{Session, SessionLayer, store::MemoryStore, views};
///
/// #[derive(Session)]
/// struct Account {
///     #[session(identity)]
///     user_id: Option<u64>,
/// }
///
/// let layer = SessionLayer::with_views(MemoryStore::new(), views![shop::ShopViews, Account]);
/// # let _ = layer;
/// ```
#[macro_export]
macro_rules! views {
    ($(#[$meta:meta])* $vis:vis type $Name:ident = [$($View:ty),* $(,)?] $(;)?) => {
        $(#[$meta])*
        $vis type $Name = $crate::Views<$crate::__list_of_views!($($View),*)>;
        const _: () = $crate::__private::check_views::<$Name>();
    };
    ($($View:ty),* $(,)?) => {{
        const _: () = $crate::__private::check_views::<$crate::__list_of_views!($($View),*)>();
        $crate::Views::<$crate::__list_of_views!($($View),*)>::__new()
    }};
}

/// The list as a type. Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __list_of_views {
    () => { () };
    ($First:ty $(, $Rest:ty)*) => { ($First, $crate::__list_of_views!($($Rest),*)) };
}
