//! Names of fields that could be mistaken for something else.
#![deny(warnings)]
#![allow(non_snake_case)]

use sessions::{Session, TypedSession};

macro_rules! names {
    ($($name:ident)*) => {
        #[derive(Session)]
        struct Names {
            $($name: u8,)*
        }

        #[derive(Session)]
        struct Options {
            $($name: Option<String>,)*
        }

        #[derive(Session)]
        struct Flashes {
            $(#[flash] $name: Option<Vec<u8>>,)*
        }

        fn get(names: &TypedSession<Names>, options: &TypedSession<Options>, flashes: &TypedSession<Flashes>) {
            $({
                let _: u8 = names.$name();
                let _: Option<&str> = options.$name();
                let _: Option<&[u8]> = flashes.$name();
            })*
            let (_, _, _): (Names, Options, Flashes) = (names.snapshot(), options.snapshot(), flashes.snapshot());
        }
    };
}

names! {
    r#type r#fn r#match r#async r#gen id data self_ this len clone drop deref as_ref borrow new into from
    try_from value by inner f name S T V View Handle Option Some None Ok Err String Vec parts state table index json
    fmt poll eq cmp hash default to_owned to_string type_id is_empty iter next push get set has take remove reset add
    mut_ flash now keep discard claim session core std alloc axum serde crate_ super_ _private _1 été
    from_request_parts handle slot first discards fields record i64 u8 bool str wrap extract view member
}

#[derive(Session)]
struct Raw {
    r#loop: u8,
    #[session(accessor = "while")]
    other: Option<u8>,
    #[session(accessor = "r#for", merge = "add")]
    third: u8,
}

fn raw(mut session: TypedSession<Raw>) {
    session.set_loop(session.r#loop());
    *session.loop_mut() += 1;
    session.set_while(session.r#while().unwrap_or_default());
    session.add_for(1);
    let _ = session.r#for();
}

fn main() {
    let _ = (get as fn(&_, &_, &_), raw as fn(_));
}
