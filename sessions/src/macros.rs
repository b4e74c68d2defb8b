//! What the derive expands to: one invocation of [`__session_view`].
//!
//! The derive checks and names things; the code it leaves in the user's crate is all here, and is
//! thin: shims over functions of [`Handle`](crate::Handle) that are compiled once. It is one macro,
//! without others inside, because each layer costs the compiler time in every field of every view.

/// The handle, the view and the extractors of one struct. Not public API.
///
/// A field has the accessors that are named for it, each with what it calls and the types that
/// depend on the field's.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_view {
    (
        $vis:vis $View:ident $Handle:ident [$($Clone:ty),*]
        $({
            $index:literal $member:ident [$T:ty] $snapshot:ident
            $entry:ident ($($argument:tt)*) [$($modifier:tt)*]
            get [$($doc:tt)*] $get:ident $read:ident [$Read:ty]
            $(has $has:ident)?
            $(set $set:ident $store:ident [$Set:ty])?
            $(edit $edit:ident $lend:ident [$Edit:ty])?
            $(reset $reset:ident)?
            $(add $add:ident $fetch_add:ident)?
            $(take $take:ident)?
            $(remove $remove:ident)?
            $(flash $flash:ident $store_flash:ident $now:ident $store_now:ident [$Flash:ty]
                $deliver:ident $keep:ident $discard:ident)?
        })*
    ) => {
        $crate::__session_handle! {
            $vis $View $Handle [$($crate::__private::$entry::<$T>($($argument)*)$($modifier)*),*]
        }

        #[allow(dead_code)]
        impl $Handle {$(
            $($doc)*
            #[inline]
            #[must_use]
            $vis fn $get(&self) -> $Read {
                self.__inner.$read::<$T>($index)
            }

            $(
                /// Whether the field has a value.
                #[inline]
                #[must_use]
                $vis fn $has(&self) -> ::core::primitive::bool {
                    self.__inner.__field_has($index)
                }
            )?

            $(
                /// Sets the field.
                #[inline]
                $vis fn $set(&mut self, value: $Set) {
                    self.__inner.$store::<$T>($index, value);
                }
            )?

            $(
                /// The field, to change in place: it counts as a change only if it then differs.
                #[inline]
                $vis fn $edit(&mut self) -> $Edit {
                    self.__inner.$lend::<$T>($index)
                }
            )?

            $(
                /// Removes the field from the store: it has its default again.
                #[inline]
                $vis fn $reset(&mut self) {
                    self.__inner.__field_remove($index);
                }
            )?

            $(
                /// Adds to the field: exact, whatever other requests add meanwhile.
                #[inline]
                $vis fn $add(&mut self, by: ::core::primitive::i64) {
                    self.__inner.__field_add($index, by);
                }

                /// Adds to the field in the store, now, and returns the sum.
                #[inline]
                $vis fn $fetch_add(&mut self, by: ::core::primitive::i64) -> $crate::__private::Now<'_, $T> {
                    self.__inner.__field_fetch_add::<$T>($index, by)
                }
            )?

            $(
                /// Takes the value out and removes it from the store.
                #[inline]
                $vis fn $take(&mut self) -> ::core::option::Option<$T> {
                    self.__inner.__field_take::<$T>($index)
                }
            )?

            $(
                /// Removes the value from the store.
                #[inline]
                $vis fn $remove(&mut self) {
                    self.__inner.__field_remove($index);
                }
            )?

            $(
                /// Sets the flash for whoever reads it next.
                #[inline]
                $vis fn $flash(&mut self, value: $Flash) {
                    self.__inner.$store_flash::<$T>($index, value);
                }

                /// Sets the flash for this request only.
                #[inline]
                $vis fn $now(&mut self, value: $Flash) {
                    self.__inner.$store_now::<$T>($index, value);
                }

                /// Takes the flash: it is delivered, and gone once this request is answered.
                #[inline]
                $vis fn $deliver(&mut self) -> ::core::option::Option<$T> {
                    self.__inner.__field_take::<$T>($index)
                }

                /// Undoes this request's take of the flash.
                #[inline]
                $vis fn $keep(&mut self) {
                    self.__inner.__field_keep($index);
                }

                /// Removes the flash undelivered.
                #[inline]
                $vis fn $discard(&mut self) {
                    self.__inner.__field_discard::<$T>($index);
                }
            )?
        )*
            /// The fields as the plain struct, as this handle sees them now.
            #[inline]
            #[must_use]
            $vis fn snapshot(&self) -> $View
            where
                $(for<'__clone> $Clone: ::core::clone::Clone,)*
            {
                $View { $($member: self.__inner.$snapshot::<$T>($index),)* }
            }
        }

        const _: () = {
            #[allow(dead_code)]
            fn __describe(view: &$View) {
                $(let _ = &view.$member;)*
            }
        };
    };
}

/// What a handle is whatever its fields: also all that is left of a view that the derive did not
/// understand, so that its users report nothing more.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_handle {
    ($vis:vis $View:ident $Handle:ident [$($entry:expr),*]) => {
        #[doc = ::core::concat!("The session of a request, seen as `", ::core::stringify!($View), "`.")]
        $vis struct $Handle {
            __inner: $crate::Handle,
        }

        #[automatically_derived]
        impl $crate::SessionView for $View {
            type Handle = $Handle;

            fn __table() -> &'static $crate::__private::Table {
                static TABLE: $crate::__private::Table = $crate::__private::Table::new(&[$($entry),*]);
                &TABLE
            }
        }

        #[allow(dead_code)]
        impl $Handle {
            /// Reads the record again, to see what other requests wrote. Changes of this handle
            /// that are not saved yet stay.
            #[inline]
            $vis fn reload(&mut self) -> $crate::__private::Now<'_, ()> {
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

/// A secret field needs keys.
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
        ::core::compile_error!("`secret` needs keys; enable the feature `keys` of `sessions`");
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
