//! More fields than a tuple has traits for.
#![deny(warnings)]

use sessions::{Session, TypedSession};

macro_rules! many {
    ($($name:ident)*) => {
        #[derive(Session)]
        struct Many {
            $($name: String,)*
        }
    };
}

many! {
    a00 a01 a02 a03 a04 a05 a06 a07 a08 a09 a10 a11 a12 a13 a14 a15 a16 a17 a18 a19 a20 a21 a22 a23 a24
    b00 b01 b02 b03 b04 b05 b06 b07 b08 b09 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22 b23 b24
    c00 c01 c02 c03 c04 c05 c06 c07 c08 c09 c10 c11 c12 c13 c14 c15 c16 c17 c18 c19 c20 c21 c22 c23 c24
}

#[derive(Session)]
#[allow(non_camel_case_types)]
struct None_ {}

fn handler(mut many: TypedSession<Many>, none: TypedSession<None_>) -> None_ {
    many.set_c24(many.a00().to_owned());
    many.save_nothing();
    none.snapshot()
}

/// The handle is a struct of the crate, so it may have methods of the crate.
impl ManyHandle {
    fn save_nothing(&self) {
        self.discard_changes();
    }
}

fn main() {
    let _: fn(_, _) -> _ = handler;
}
