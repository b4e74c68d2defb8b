//! Views of every shape under every lint: a user's crate, as strict as can be.
#![deny(warnings, missing_docs, unreachable_pub, unused, dead_code, missing_debug_implementations)]
#![deny(missing_copy_implementations, single_use_lifetimes, unused_qualifications, unused_lifetimes)]
#![deny(elided_lifetimes_in_paths, explicit_outlives_requirements, let_underscore_drop, unit_bindings)]
#![deny(trivial_casts, trivial_numeric_casts, unsafe_code, unused_results, variant_size_differences)]
#![deny(
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)]
#![deny(clippy::missing_inline_in_public_items, clippy::str_to_string, clippy::clone_on_ref_ptr)]
#![deny(
    clippy::absolute_paths,
    clippy::default_trait_access,
    clippy::min_ident_chars,
    clippy::shadow_unrelated
)]

use serde::{Deserialize, Serialize};
use sessions::{Session, TypedSession};

/// For the neighbour crate that has this one under the library's name.
pub const IS_ANOTHER_CRATE: bool = true;

/// A type of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Theme {
    /// Black on white.
    #[default]
    Light,
    /// White on black.
    Dark,
}

/// Every shape and every attribute.
#[derive(Debug, Session)]
#[session(namespace = "lints", rename_all = "camelCase", handle = "Everything")]
#[non_exhaustive]
pub struct Every {
    /// A counter.
    #[session(merge = "add")]
    pub visits: u32,
    /// A maximum.
    #[session(merge = "max")]
    pub last_seen: Option<i64>,
    /// A minimum.
    #[session(merge = "min", default = 9)]
    pub first_seen: i64,
    /// The first.
    #[session(merge = "first")]
    pub referrer: Option<String>,
    /// A text.
    #[session(default = String::from("en"), alias = "lang", on_invalid = "reject")]
    pub locale: String,
    /// A list.
    #[session(merge = "last")]
    pub items: Vec<String>,
    /// Delivered once.
    #[flash]
    pub message: Option<String>,
    /// Delivered once.
    #[flash]
    #[session(copy)]
    pub theme_flash: Option<Theme>,
    /// By value.
    #[session(copy, rename = "look")]
    pub theme: Theme,
    /// Written by a module.
    #[session(with = "text")]
    pub written: Theme,
    /// Never stored.
    #[session(skip)]
    pub scratch: Option<Box<Theme>>,
    /// Never stored.
    #[session(skip, default = (1, 2), accessor = "pair")]
    pub tuple: (u8, u8),
    /// Nothing at all.
    pub nothing: (),
}

// what serde asks of such a module
#[allow(clippy::redundant_pub_crate, clippy::trivially_copy_pass_by_ref)]
mod text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Theme;

    pub(super) fn serialize<S: Serializer>(theme: &Theme, serializer: S) -> Result<S::Ok, S::Error> {
        (*theme == Theme::Dark).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Theme, D::Error> {
        bool::deserialize(deserializer).map(|dark| if dark { Theme::Dark } else { Theme::Light })
    }
}

/// Without fields.
#[derive(Debug, Session)]
#[non_exhaustive]
pub struct Nothing {}

/// Private, with fields nobody uses: a description, not dead code.
#[derive(Session)]
struct Private {
    user: Option<u64>,
    unused: u32,
    unused_text: String,
}

/// One accessor of many is used.
#[must_use]
#[inline]
pub fn uses_one(session: &TypedSession<Every>) -> u32 {
    session.visits()
}

/// Uses the private view.
#[must_use]
#[inline]
pub fn uses_private() -> bool {
    let has_user: fn(&TypedSession<Private>) -> bool = PrivateHandle::has_user;
    size_of_val(&has_user) > 0
}
