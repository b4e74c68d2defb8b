//! Where a view may stand: in a function, in private and public modules, in macros, side by side.
#![deny(warnings, unreachable_pub, private_interfaces, private_bounds)]

use sessions::{Session, TypedSession};

mod private {
    #[derive(sessions::Session)]
    pub(super) struct InModule {
        pub(super) n: u32,
    }

    #[derive(sessions::Session)]
    struct Hidden {
        n: u32,
    }

    pub(super) fn hidden() -> usize {
        let get: fn(&sessions::TypedSession<Hidden>) -> u32 = HiddenHandle::n;
        size_of_val(&get)
    }
}

pub mod public {
    /// Seen by others, with fields that are not.
    #[derive(sessions::Session)]
    pub struct Login {
        user: Option<u64>,
        pub(crate) role: String,
    }

    impl Login {
        pub fn user(&self) -> Option<u64> {
            self.user
        }
    }

    pub fn deep_exists() -> bool {
        let deep: fn(&sessions::TypedSession<inner::Deep>) -> u8 = deep;
        size_of_val(&deep) > 0
    }

    pub mod inner {
        #[derive(sessions::Session)]
        pub(in crate::public) struct Deep {
            pub n: u8,
        }
    }

    pub(in crate::public) fn deep(session: &sessions::TypedSession<inner::Deep>) -> u8 {
        session.n()
    }
}

macro_rules! view {
    ($(#[$attr:meta])* $vis:vis $name:ident { $($(#[$field_attr:meta])* $field:ident: $ty:ty,)* }) => {
        #[derive(Session)]
        $(#[$attr])*
        $vis struct $name {
            $($(#[$field_attr])* $field: $ty,)*
            from_the_macro: Option<String>,
        }
    };
}

view! {
    #[session(rename_all = "camelCase")]
    pub(crate) FromMacro {
        #[session(merge = "add")]
        page_count: u32,
        #[flash]
        flash_message: Option<String>,
        #[session(merge = "last")]
        maybe_list: Option<Vec<u8>>,
    }
}

macro_rules! with_default {
    ($name:ident, $default:expr, $stored:literal) => {
        #[derive(Session)]
        struct $name {
            #[session(default = $default, rename = $stored)]
            n: u32,
        }
    };
}

with_default!(Five, 2 + 3, "five");

/// A name that the derive's own names could be mistaken for.
#[derive(sessions::Session)]
struct Handle {
    n: u32,
}

fn all(
    one: &TypedSession<private::InModule>,
    two: &mut TypedSession<public::Login>,
    three: &mut TypedSession<FromMacro>,
    four: &TypedSession<Five>,
    five: &TypedSession<Handle>,
) -> u32 {
    #[derive(Session)]
    struct InFunction {
        n: u32,
    }

    let in_function = |session: TypedSession<InFunction>| session.n();
    let _ = in_function;
    two.set_role("admin");
    let _ = (two.snapshot().user(), two.user());
    three.add_page_count(one.n().into());
    three.flash_flash_message("hello");
    let _: Option<&[u8]> = three.maybe_list();
    three.remove_from_the_macro();
    four.n() + five.n()
}

fn main() {
    let _: fn(&_, &mut _, &mut _, &_, &_) -> _ = all;
    let _ = (private::hidden(), public::deep_exists());
    const {
        #[derive(Session)]
        struct InConst {
            n: u32,
        }
        assert!(size_of::<TypedSession<InConst>>() > 0);
    }
}
