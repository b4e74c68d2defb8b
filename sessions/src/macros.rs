//! The expansion of the derive: one invocation of [`__session_view`].
//!
//! The derive writes out the accessors, each of which calls a method of [`Handle`](crate::Handle), whose work is
//! compiled once. The macro takes all of them as one token tree: the time to match a `macro_rules!` grows with the
//! square of the parts that it names. Everything else that does not need to know the fields is written here.

/// The handle, the view and the extractors of one struct. Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_view {
    (
        $vis:vis $View:ident $Handle:ident [$($doc:tt)*] [$($Clone:ty),*]
        $accessors:tt
        $({
            $index:literal $member:ident [$T:ty] $snapshot:ident
            $entry:ident ($($argument:tt)*) [$($modifier:tt)*]
        })*
    ) => {
        // The documentation keeps this order: the fields, then what every handle has.
        #[allow(dead_code)]
        impl $Handle $accessors

        #[allow(dead_code)]
        impl $Handle {
            /// Returns the fields as a plain struct, as this handle sees them now.
            #[inline]
            #[must_use]
            $vis fn snapshot(&self) -> $View
            where
                $(for<'__clone> $Clone: ::core::clone::Clone,)*
            {
                $View { $($member: self.__inner.$snapshot::<$T>($index),)* }
            }
        }

        $crate::__session_handle! {
            $vis $View $Handle [$($doc)*] [$($crate::__private::$entry::<$T>($($argument)*)$($modifier)*),*]
        }

        const _: () = {
            #[allow(dead_code)]
            fn __describe(view: &$View) {
                $(let _ = &view.$member;)*
            }
        };
    };
}

/// The parts of a handle that do not depend on the fields.
///
/// For a struct that the derive does not understand this is all, so that its uses are no further errors.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_handle {
    ($vis:vis $View:ident $Handle:ident [$($doc:tt)*] [$($entry:expr),*]) => {
        $($doc)*
        $vis struct $Handle {
            __inner: $crate::Handle,
        }

        #[automatically_derived]
        impl $crate::SessionView for $View {
            type Handle = $Handle;

            const __FIELDS: &'static [$crate::__private::Field] = &[$($entry),*];

            fn __table() -> &'static $crate::__private::Table {
                static TABLE: $crate::__private::Table = $crate::__private::Table::new(
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!($View)),
                    <$View as $crate::SessionView>::__FIELDS,
                );
                &TABLE
            }
        }

        #[automatically_derived]
        impl $crate::ViewList for $View {
            const __LISTED: &'static $crate::__private::ListedViews = &$crate::__private::ListedViews::One {
                view: ::core::concat!(::core::module_path!(), "::", ::core::stringify!($View)),
                fields: <$View as $crate::SessionView>::__FIELDS,
                table: <$View as $crate::SessionView>::__table,
            };
        }

        #[allow(dead_code)]
        impl $Handle {
            /// Reads the record again, to see what other requests wrote.
            ///
            /// The unsaved changes of this handle stay.
            #[inline]
            $vis fn reload(&mut self) -> $crate::__private::BoxFuture<'_, ::core::result::Result<(), $crate::Error>> {
                self.__inner.__reload()
            }
        }

        #[automatically_derived]
        impl ::core::ops::Deref for $Handle {
            type Target = $crate::Handle;

            #[inline]
            fn deref(&self) -> &$crate::Handle {
                &self.__inner
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for $Handle {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.__inner, f)
            }
        }

        $crate::__session_extractors! { $View $Handle }
    };
}

/// A check that the library has its feature `keys`, which a secret field needs.
#[cfg(feature = "keys")]
#[doc(hidden)]
#[macro_export]
macro_rules! __session_needs_keys {
    () => {};
}

#[cfg(not(feature = "keys"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __session_needs_keys {
    () => {
        ::core::compile_error!(
            "`secret` needs the feature `keys` of `sessions`; write `features = [\"keys\"]` in the dependency"
        );
    };
}

#[cfg(feature = "axum")]
#[doc(hidden)]
#[macro_export]
macro_rules! __session_extractors {
    ($View:ident $Handle:ident) => {
        #[automatically_derived]
        #[allow(refining_impl_trait)]
        impl<__State: ::core::marker::Send + ::core::marker::Sync>
            $crate::__private::FromRequestParts<__State> for $Handle
        {
            type Rejection = $crate::SessionRejection;

            #[inline]
            fn from_request_parts<'__parts>(
                parts: &'__parts mut $crate::__private::RequestParts,
                _state: &__State,
            ) -> $crate::__private::Extract<'__parts, Self> {
                let table = <$View as $crate::SessionView>::__table();
                $crate::__private::extract(parts, table, |__inner| Self { __inner })
            }
        }

        #[automatically_derived]
        #[allow(refining_impl_trait)]
        impl<__State: ::core::marker::Send + ::core::marker::Sync>
            $crate::__private::OptionalFromRequestParts<__State> for $Handle
        {
            type Rejection = $crate::SessionRejection;

            #[inline]
            fn from_request_parts<'__parts>(
                parts: &'__parts mut $crate::__private::RequestParts,
                _state: &__State,
            ) -> $crate::__private::ExtractLive<'__parts, Self> {
                let table = <$View as $crate::SessionView>::__table();
                $crate::__private::extract_live(parts, table, |__inner| Self { __inner })
            }
        }
    };
}

#[cfg(not(feature = "axum"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __session_extractors {
    ($View:ident $Handle:ident) => {
        #[allow(dead_code)]
        impl $Handle {
            fn __new(__inner: $crate::Handle) -> Self {
                Self { __inner }
            }
        }
    };
}
