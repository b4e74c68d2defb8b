//! The names of a list of views, each with the field that has it: how the compiler compares views.
//!
//! The compiler counts the steps of a constant, and refuses one that takes too many. A table by hash takes some hundred
//! steps for each name, however many there are.

use super::{
    ListedViews,
    contradiction::{Contradiction, NamedFields},
    text::are_equal,
};
use crate::handle::table::{Field, Shape};

/// The places for names. Beyond three quarters of them, only a running program compares.
const PLACES: usize = 4096;

/// The names that were met.
pub(super) struct ListedNames {
    places: [Option<KnownName>; PLACES],
    count: usize,
}

/// A name, and the first field that has it.
#[derive(Clone, Copy)]
struct KnownName {
    name: &'static str,
    field: &'static Field,
    view: &'static str,
}

impl ListedNames {
    // It exists in constants only.
    #[allow(clippy::large_stack_arrays)]
    pub(super) const fn new() -> Self {
        Self { places: [None; PLACES], count: 0 }
    }

    /// Adds the views of a list, and returns the first contradiction.
    pub(super) const fn add_list(&mut self, list: &'static ListedViews) -> Option<Contradiction> {
        match list {
            ListedViews::None => None,
            ListedViews::One { view, fields, .. } => self.add_view((view, fields)),
            ListedViews::Both(first, second) => match self.add_list(first) {
                None => self.add_list(second),
                found => found,
            },
        }
    }

    const fn add_view(&mut self, (view, fields): NamedFields) -> Option<Contradiction> {
        let mut at = 0;
        while at < fields.len() {
            if let found @ Some(_) = self.add_field(view, &fields[at]) {
                return found;
            }
            at += 1;
        }
        None
    }

    const fn add_field(&mut self, view: &'static str, field: &'static Field) -> Option<Contradiction> {
        if matches!(field.shape, Shape::Skipped) {
            return None;
        }
        let mut at = 0;
        while at <= field.aliases.len() {
            let name = if at == 0 { field.name } else { field.aliases[at - 1] };
            if let found @ Some(_) = self.add_name(KnownName { name, field, view }) {
                return found;
            }
            at += 1;
        }
        None
    }

    const fn add_name(&mut self, new: KnownName) -> Option<Contradiction> {
        let mut place = place_of(new.name);
        loop {
            match self.places[place] {
                Some(known) if are_equal(known.name, new.name) => {
                    return Contradiction::of(new.name, (known.field, known.view), (new.field, new.view));
                }
                Some(_) => place = (place + 1) % PLACES,
                None => {
                    if self.count < PLACES / 4 * 3 {
                        self.places[place] = Some(new);
                        self.count += 1;
                    }
                    return None;
                }
            }
        }
    }
}

/// Returns the place at which a name is looked for first, by its length and five of its bytes.
const fn place_of(name: &str) -> usize {
    let bytes = name.as_bytes();
    let length = bytes.len();
    if length == 0 {
        return 0;
    }
    let sum = length * 7
        + bytes[0] as usize * 31
        + bytes[length / 4] as usize * 131
        + bytes[length / 2] as usize * 17
        + bytes[length * 3 / 4] as usize * 61
        + bytes[length - 1] as usize * 257;
    sum % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        __private::{plain, stored},
        views::contradiction::between_running,
    };

    /// Compares views as the compiler does.
    const fn compared(views: &[NamedFields]) -> Option<Contradiction> {
        let (mut names, mut at) = (ListedNames::new(), 0);
        while at < views.len() {
            if let found @ Some(_) = names.add_view(views[at]) {
                return found;
            }
            at += 1;
        }
        None
    }

    const CART: &[Field] =
        &[plain::<Vec<u64>>("items").aliases(&["basket"]).type_name("Vec<u64>").keep_on_logout()];

    fn message(fields: &'static [Field]) -> Option<String> {
        let (cart, admin) = (("shop::Cart", CART), ("admin::Cart", fields));
        let found = compared(&[cart, admin]);
        assert_eq!(found.is_some(), compared(&[admin, cart]).is_some());
        found.map(|found| found.message().as_str().to_owned())
    }

    #[test]
    fn views_that_agree_or_do_not_meet_are_no_contradiction() {
        const SAME: &[Field] = &[plain::<Vec<u64>>("items").type_name("Vec<u64>").keep_on_logout()];
        const OTHER: &[Field] = &[plain::<Vec<u32>>("other").type_name("Vec<u32>").merge_first()];
        for fields in [CART, SAME, OTHER, &[]] {
            assert_eq!(message(fields), None);
        }
    }

    #[test]
    fn each_difference_is_found_and_named() {
        const TYPE: &[Field] = &[plain::<Vec<u32>>("items").type_name("Vec<u32>").keep_on_logout()];
        const CHOSEN: &[Field] = &[plain::<Vec<u64>>("items").logical_type("ids").keep_on_logout()];
        const LOGIN: &[Field] = &[plain::<Vec<u64>>("items").type_name("Vec<u64>").drop_on_login()];
        const MERGE: &[Field] =
            &[plain::<Vec<u64>>("items").type_name("Vec<u64>").keep_on_logout().merge_first()];
        const SECRET: &[Field] =
            &[plain::<Vec<u64>>("items").type_name("Vec<u64>").keep_on_logout().secret()];
        const FLASH: &[Field] = &[stored::<Vec<u64>>("items").type_name("Vec<u64>").keep_on_logout().flash()];
        const OLDER: &[Field] = &[plain::<Vec<u64>>("basket").type_name("Vec<u64>").keep_on_logout()];
        for (fields, words) in [
            (TYPE, "has the type `Vec<u64>` in `shop::Cart` and `Vec<u32>` in `admin::Cart`"),
            (CHOSEN, "has the type `Vec<u64>` in `shop::Cart` and `ids` in `admin::Cart`"),
            (LOGIN, "is `keep_on_logout` in `shop::Cart` and `drop_on_login` in `admin::Cart`"),
            (MERGE, "is `merge = \"first\"` in `admin::Cart` and not in `shop::Cart`"),
            (SECRET, "is `secret` in `admin::Cart` and not in `shop::Cart`"),
            (FLASH, "is `flash` in `admin::Cart` and not in `shop::Cart`"),
            (OLDER, "`basket` belongs to `items` in `shop::Cart` and to `basket` in `admin::Cart`"),
        ] {
            let message = message(fields).unwrap_or_default();
            assert!(message.contains(words), "{words}: {message}");
        }
    }

    /// Alike names that are two types: the compiler sees the size, a running program the type itself.
    #[test]
    fn two_types_of_one_name_differ_by_size_or_in_the_running_program() {
        const SMALL: &[Field] = &[plain::<u8>("n").type_name("Size")];
        const LARGE: &[Field] = &[plain::<u64>("n").type_name("Size")];
        const SIGNED: &[Field] = &[plain::<i8>("n").type_name("Size")];
        const ALIAS: &[Field] = &[plain::<u8>("n").type_name("Other")];
        const CHOSEN: &[Field] = &[plain::<i8>("n").logical_type("size")];
        const ALSO_CHOSEN: &[Field] = &[plain::<u64>("n").logical_type("size")];
        let compiled = |one, other| compared(&[("a", one), ("b", other)]).is_some();
        let running = |one, other| between_running(("a", one), ("b", other)).is_some();
        assert!(compiled(SMALL, LARGE) && running(SMALL, LARGE));
        assert!(!compiled(SMALL, SIGNED) && running(SMALL, SIGNED));
        assert!(compiled(SMALL, ALIAS) && !running(SMALL, ALIAS), "one type under two names");
        assert!(!compiled(CHOSEN, ALSO_CHOSEN) && !running(CHOSEN, ALSO_CHOSEN));
    }

    /// The compiler compares forty views of twenty fields without its complaint about constants that take long.
    #[test]
    fn many_views_are_compared_in_a_constant() {
        macro_rules! fields {
            ($view:literal: $($name:literal)*) => { &[$(plain::<u8>(concat!($view, $name)).type_name("u8")),*] };
        }
        macro_rules! list {
            ($($view:literal)*) => { [$((
                $view,
                fields!($view: ".user_id" ".language" ".theme" ".items" ".coupon" ".address" ".visits" ".message"
                    ".return_to" ".started" ".currency" ".country" ".campaign" ".referrer" ".draft" ".filters"
                    ".sort" ".page" ".last_seen" ".state"),
            )),*] };
        }
        const VIEWS: [NamedFields; 40] = list!(
            "aa" "ab" "ac" "ad" "ae" "af" "ag" "ah" "ai" "aj" "ba" "bb" "bc" "bd" "be" "bf" "bg" "bh" "bi" "bj"
            "ca" "cb" "cc" "cd" "ce" "cf" "cg" "ch" "ci" "cj" "da" "db" "dc" "dd" "de" "df" "dg" "dh" "di" "dj"
        );
        const FOUND: Option<Contradiction> = compared(&VIEWS);
        assert!(FOUND.is_none());
    }
}
