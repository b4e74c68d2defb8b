//! What the derive expands to: one invocation of [`__session_view`].
//!
//! The derive checks and names things; the code it leaves in the user's crate is all here, and is
//! thin: shims over functions of [`Handle`](crate::Handle) that are compiled once.

/// The handle, the view and the extractors of one struct. Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_view {
    (
        $vis:tt $View:ident $Handle:ident
        $({
            $index:literal $member:ident $shape:ident [$T:ty] ($stored:literal [$($alias:literal),*])
            $merge:ident $on_invalid:ident ($($codec:tt)*) ($($default:tt)*) $checked:ident
            $getter:ident [$($target:tt)*] $setter:ident [$($doc:tt)*] {$($name:ident)*}
        })*
    ) => {
        $crate::__session_handle! { $vis $View $Handle }

        #[automatically_derived]
        impl $crate::SessionView for $View {
            type Handle = $Handle;

            fn __table() -> &'static $crate::__private::Table {
                static TABLE: $crate::__private::Table = $crate::__private::Table::new(&[$(
                    $crate::__session_entry! {
                        $shape [$T] ($stored [$($alias)*]) $merge $on_invalid ($($codec)*) ($($default)*)
                    }
                ),*]);
                &TABLE
            }

            fn __describe(&self) {
                $(let _ = &self.$member;)*
            }
        }

        $($crate::__session_alias_check! { $checked $member [$T] })*

        #[automatically_derived]
        #[allow(dead_code)]
        impl $Handle {
            $($crate::__session_accessors! {
                $shape $vis $index [$T] $merge $getter [$($target)*] $setter [$($doc)*] $($name)*
            })*

            $crate::__session_methods! { $vis $View $($member $shape $index [$T])* }
        }

        #[automatically_derived]
        impl ::core::ops::Deref for $Handle {
            type Target = $crate::Handle;

            fn deref(&self) -> &$crate::Handle {
                &self.__inner
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for $Handle {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.__inner, f)
            }
        }

        $crate::__session_extractors! { $View $Handle }
    };
}

/// The handle of a view.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_handle {
    ([$($vis:tt)*] $View:ident $Handle:ident) => {
        #[doc = ::core::concat!("The session of a request, seen as `", ::core::stringify!($View), "`.")]
        $($vis)* struct $Handle {
            __inner: $crate::Handle,
        }
    };
}

/// What every handle has besides its fields' accessors.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_methods {
    ([$($vis:tt)*] $View:ident $($member:ident $shape:ident $index:literal [$T:ty])*) => {
        /// Reads the record again, to see what other requests wrote. Changes of this handle
        /// that are not saved yet stay.
        $($vis)* fn reload(
            &mut self,
        ) -> impl ::core::future::Future<Output = ::core::result::Result<(), $crate::Error>>
        + ::core::marker::Send {
            self.__inner.__reload()
        }

        /// The fields as the plain struct, as this handle sees them now.
        #[must_use]
        $($vis)* fn snapshot(&self) -> $View
        where
            $(for<'__clone> $T: ::core::clone::Clone,)*
        {
            $View { $($member: $crate::__session_snapshot!($shape self $index [$T]),)* }
        }
    };
}

/// What is left of a view whose derive reported errors: enough that its users report none.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_stub {
    ($vis:tt $View:ident $Handle:ident) => {
        $crate::__session_view! { $vis $View $Handle }
    };
}

/// One field's entry in the table.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_entry {
    ($shape:ident [$T:ty] ($stored:literal [$($alias:literal)*]) $merge:ident $on_invalid:ident ($($codec:tt)*) ($($default:tt)*)) => {
        $crate::__session_defaulted! {
            $shape [$T] ($($default)*)
            $crate::__session_counted! {
                $merge [$T]
                $crate::__private::Field::new(
                    $stored,
                    &[$($alias),*],
                    $crate::__session_shape!($shape),
                    $crate::__session_merge!($merge),
                    $crate::__session_on_invalid!($on_invalid),
                    $crate::__session_codec!($shape [$T] $($codec)*),
                )
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_shape {
    (plain) => { $crate::__private::Shape::Stored };
    (option) => { $crate::__private::Shape::Stored };
    (flash) => { $crate::__private::Shape::Flash };
    (skip_plain) => { $crate::__private::Shape::Skipped };
    (skip_option) => { $crate::__private::Shape::Skipped };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_merge {
    (last) => { $crate::__private::Merge::Last };
    (add) => { $crate::__private::Merge::Add };
    (max) => { $crate::__private::Merge::Max };
    (min) => { $crate::__private::Merge::Min };
    (first) => { $crate::__private::Merge::First };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_on_invalid {
    (reset) => { $crate::__private::OnInvalid::Reset };
    (reject) => { $crate::__private::OnInvalid::Reject };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_codec {
    (skip_plain [$T:ty] $($codec:tt)*) => { $crate::__private::Codec::none() };
    (skip_option [$T:ty] $($codec:tt)*) => { $crate::__private::Codec::none() };
    ($shape:ident [$T:ty] json) => { $crate::__private::Codec::json::<$T>() };
    ($shape:ident [$T:ty] with $($module:tt)*) => {
        $crate::__private::Codec::with(
            |json| $crate::__private::decode_with::<$T>(json, |json| $($module)*::deserialize(json)),
            |value, json| $crate::__private::encode_with::<$T>(value, json, |value, json| {
                $($module)*::serialize(value, json)
            }),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_counted {
    (last [$T:ty] $($field:tt)*) => { $($field)* };
    (first [$T:ty] $($field:tt)*) => { $($field)* };
    ($merge:ident [$T:ty] $($field:tt)*) => {
        $($field)*.counted(<$T as $crate::__private::Integer>::COUNTER)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_defaulted {
    (option [$T:ty] () $($field:tt)*) => { $($field)* };
    (flash [$T:ty] () $($field:tt)*) => { $($field)* };
    (skip_option [$T:ty] () $($field:tt)*) => { $($field)* };
    ($shape:ident [$T:ty] () $($field:tt)*) => {
        $($field)*.or($crate::__private::default::<$T>)
    };
    ($shape:ident [$T:ty] ($default:expr) $($field:tt)*) => {
        $($field)*.or(|| $crate::__private::boxed::<$T>($default))
    };
}

/// A plain field whose type turns out to be an `Option` would never be absent.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_alias_check {
    (checked $member:ident [$T:ty]) => {};
    (unchecked $member:ident [$T:ty]) => {
        const _: () = {
            use $crate::__private::NotOption as _;
            ::core::assert!(
                !$crate::__private::Probe::<$T>::IS_OPTION,
                ::core::concat!(
                    "the type of session field `", ::core::stringify!($member),
                    "` is an `Option` behind an alias; write `Option<…>` itself"
                ),
            );
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_snapshot {
    (plain $self:ident $index:literal [$T:ty]) => {
        ::core::clone::Clone::clone($self.__inner.__get::<$T>($index))
    };
    (skip_plain $self:ident $index:literal [$T:ty]) => {
        ::core::clone::Clone::clone($self.__inner.__get::<$T>($index))
    };
    ($shape:ident $self:ident $index:literal [$T:ty]) => {
        $self.__inner.__get_option::<$T>($index).cloned()
    };
}

/// The accessors of one field.
#[doc(hidden)]
#[macro_export]
macro_rules! __session_accessors {
    (plain [$($vis:tt)*] $index:literal [$T:ty] add $getter:ident [$($target:tt)*] $setter:ident [$($doc:tt)*]
        $get:ident $set:ident $edit:ident $reset:ident $add:ident $fetch_add:ident) => {
        $crate::__session_accessors! {
            skip_plain [$($vis)*] $index [$T] add $getter [$($target)*] $setter [$($doc)*] $get $set $edit $reset
        }

        #[doc = ::core::concat!("Adds to `", ::core::stringify!($get), "`: exact whatever other requests add.")]
        #[inline]
        $($vis)* fn $add(&mut self, by: ::core::primitive::i64) {
            self.__inner.__add($index, by);
        }

        #[doc = ::core::concat!("Adds to `", ::core::stringify!($get), "` in the store now and returns the sum.")]
        #[inline]
        $($vis)* fn $fetch_add(
            &mut self,
            by: ::core::primitive::i64,
        ) -> impl ::core::future::Future<Output = ::core::result::Result<$T, $crate::Error>>
        + ::core::marker::Send {
            self.__inner.__fetch_add::<$T>($index, by)
        }
    };
    (plain [$($vis:tt)*] $index:literal [$T:ty] $merge:ident $getter:ident [$($target:tt)*] $setter:ident [$($doc:tt)*]
        $get:ident $set:ident $edit:ident $reset:ident $add:ident $fetch_add:ident) => {
        $crate::__session_accessors! {
            skip_plain [$($vis)*] $index [$T] $merge $getter [$($target)*] $setter [$($doc)*] $get $set $edit $reset
        }
    };
    (skip_plain [$($vis:tt)*] $index:literal [$T:ty] $merge:ident $getter:ident [$($target:tt)*] $setter:ident [$($doc:tt)*]
        $get:ident $set:ident $edit:ident $reset:ident $($unused:ident)*) => {
        $crate::__session_getter! { [$($vis)*] $index $get $getter [$T] [$($target)*] [$($doc)*] }
        $crate::__session_setter! { [$($vis)*] $index $get $set __set $setter [$T] "Sets `" }

        #[doc = ::core::concat!("`", ::core::stringify!($get), "` to change in place; a change only if it then differs.")]
        #[inline]
        $($vis)* fn $edit(&mut self) -> &mut $T {
            self.__inner.__edit::<$T>($index)
        }

        #[doc = ::core::concat!("Removes `", ::core::stringify!($get), "` from the store: it has its default again.")]
        #[inline]
        $($vis)* fn $reset(&mut self) {
            self.__inner.__remove($index);
        }
    };
    (option [$($vis:tt)*] $index:literal [$T:ty] $merge:ident $getter:ident [$($target:tt)*] $setter:ident [$($doc:tt)*]
        $get:ident $has:ident $set:ident $edit:ident $take:ident $remove:ident) => {
        $crate::__session_option_getter! { [$($vis)*] $index $get $getter [$T] [$($target)*] [$($doc)*] }
        $crate::__session_has! { [$($vis)*] $index $get $has }
        $crate::__session_setter! { [$($vis)*] $index $get $set __set $setter [$T] "Sets `" }

        #[doc = ::core::concat!("`", ::core::stringify!($get), "` to change in place; a change only if it then differs.")]
        #[inline]
        $($vis)* fn $edit(&mut self) -> ::core::option::Option<&mut $T> {
            self.__inner.__edit_option::<$T>($index)
        }

        #[doc = ::core::concat!("Takes `", ::core::stringify!($get), "` out and removes it from the store.")]
        #[inline]
        $($vis)* fn $take(&mut self) -> ::core::option::Option<$T> {
            self.__inner.__take::<$T>($index)
        }

        #[doc = ::core::concat!("Removes `", ::core::stringify!($get), "` from the store.")]
        #[inline]
        $($vis)* fn $remove(&mut self) {
            self.__inner.__remove($index);
        }
    };
    (skip_option $($rest:tt)*) => {
        $crate::__session_accessors! { option $($rest)* }
    };
    (flash [$($vis:tt)*] $index:literal [$T:ty] $merge:ident $getter:ident [$($target:tt)*] $setter:ident [$($doc:tt)*]
        $get:ident $has:ident $flash:ident $now:ident $take:ident $keep:ident $discard:ident) => {
        $crate::__session_option_getter! { [$($vis)*] $index $get $getter [$T] [$($target)*] [$($doc)*] }
        $crate::__session_has! { [$($vis)*] $index $get $has }
        $crate::__session_setter! { [$($vis)*] $index $get $flash __flash $setter [$T] "For whoever reads it next: sets `" }
        $crate::__session_setter! { [$($vis)*] $index $get $now __now $setter [$T] "For this request only: sets `" }

        #[doc = ::core::concat!("Takes `", ::core::stringify!($get), "`: it is delivered, and gone once this request is answered.")]
        #[inline]
        $($vis)* fn $take(&mut self) -> ::core::option::Option<$T> {
            self.__inner.__take::<$T>($index)
        }

        #[doc = ::core::concat!("Undoes this request's take of `", ::core::stringify!($get), "`.")]
        #[inline]
        $($vis)* fn $keep(&mut self) {
            self.__inner.__keep($index);
        }

        #[doc = ::core::concat!("Removes `", ::core::stringify!($get), "` undelivered.")]
        #[inline]
        $($vis)* fn $discard(&mut self) {
            self.__inner.__discard::<$T>($index);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_getter {
    ([$($vis:tt)*] $index:literal $get:ident copy [$T:ty] [] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> $T {
            *self.__inner.__get::<$T>($index)
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident refer [$T:ty] [] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> &$T {
            self.__inner.__get::<$T>($index)
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident str [$T:ty] [] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> &::core::primitive::str {
            self.__inner.__get::<$T>($index)
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident slice [$T:ty] [$U:ty] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> &[$U] {
            self.__inner.__get::<$T>($index)
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_option_getter {
    ([$($vis:tt)*] $index:literal $get:ident copy [$T:ty] [] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> ::core::option::Option<$T> {
            self.__inner.__get_option::<$T>($index).copied()
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident refer [$T:ty] [] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> ::core::option::Option<&$T> {
            self.__inner.__get_option::<$T>($index)
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident str [$T:ty] [] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> ::core::option::Option<&::core::primitive::str> {
            self.__inner.__get_option_str($index)
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident slice [$T:ty] [$U:ty] [$($doc:tt)*]) => {
        $($doc)*
        #[inline]
        #[must_use]
        $($vis)* fn $get(&self) -> ::core::option::Option<&[$U]> {
            self.__inner.__get_option_slice::<$U>($index)
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_has {
    ([$($vis:tt)*] $index:literal $get:ident $has:ident) => {
        #[doc = ::core::concat!("Whether there is a `", ::core::stringify!($get), "`.")]
        #[inline]
        #[must_use]
        $($vis)* fn $has(&self) -> ::core::primitive::bool {
            self.__inner.__has($index)
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_setter {
    ([$($vis:tt)*] $index:literal $get:ident $set:ident $call:ident value [$T:ty] $doc:literal) => {
        #[doc = ::core::concat!($doc, ::core::stringify!($get), "`.")]
        #[inline]
        $($vis)* fn $set(&mut self, value: $T) {
            self.__inner.$call::<$T>($index, value);
        }
    };
    ([$($vis:tt)*] $index:literal $get:ident $set:ident $call:ident into_string [$T:ty] $doc:literal) => {
        #[doc = ::core::concat!($doc, ::core::stringify!($get), "`.")]
        #[inline]
        $($vis)* fn $set(&mut self, value: impl ::core::convert::Into<$T>) {
            self.__inner.$call::<$T>($index, ::core::convert::Into::into(value));
        }
    };
}

#[cfg(feature = "axum")]
#[doc(hidden)]
#[macro_export]
macro_rules! __session_extractors {
    ($View:ident $Handle:ident) => {
        #[automatically_derived]
        impl<S: ::core::marker::Send + ::core::marker::Sync> $crate::__private::FromRequestParts<S> for $Handle {
            type Rejection = $crate::SessionRejection;

            async fn from_request_parts(
                parts: &mut $crate::__private::RequestParts,
                _state: &S,
            ) -> ::core::result::Result<Self, $crate::SessionRejection> {
                let table = <$View as $crate::SessionView>::__table();
                match $crate::__private::extract(parts, table).await {
                    ::core::result::Result::Ok((__inner, _)) => ::core::result::Result::Ok(Self { __inner }),
                    ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
                }
            }
        }

        #[automatically_derived]
        impl<S: ::core::marker::Send + ::core::marker::Sync> $crate::__private::OptionalFromRequestParts<S> for $Handle {
            type Rejection = $crate::SessionRejection;

            async fn from_request_parts(
                parts: &mut $crate::__private::RequestParts,
                _state: &S,
            ) -> ::core::result::Result<::core::option::Option<Self>, $crate::SessionRejection> {
                let table = <$View as $crate::SessionView>::__table();
                match $crate::__private::extract(parts, table).await {
                    ::core::result::Result::Ok((__inner, is_live)) => {
                        ::core::result::Result::Ok(is_live.then(|| Self { __inner }))
                    }
                    ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
                }
            }
        }
    };
}

#[cfg(not(feature = "axum"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __session_extractors {
    ($View:ident $Handle:ident) => {
        #[automatically_derived]
        #[allow(dead_code)]
        impl $Handle {
            fn __new(__inner: $crate::Handle) -> Self {
                Self { __inner }
            }
        }
    };
}
