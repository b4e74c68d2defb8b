//! What handlers of `sessions` look like: views of sessions of each size, and a small one.

use axum::Router;
use axum::routing::get;
use sessions::{Session, TypedSession};

use crate::data;

/// The handlers for sessions of that many text fields.
pub fn routes(fields: usize) -> Router {
    match fields {
        5 => five::routes(),
        20 => twenty::routes(),
        _ => unreachable!("there are no sessions of {fields} fields"),
    }
    .route("/read-4", get(read_few))
}

/// The first [`data::FEW`] fields and nothing else.
#[derive(Session)]
struct Few {
    field_00: String,
    field_01: String,
    field_02: String,
    field_03: String,
}

async fn read_few(session: TypedSession<Few>) -> String {
    [session.field_00(), session.field_01(), session.field_02(), session.field_03()].join("\n")
}

/// A view of all fields with its handlers. `field_03` is the field that [`data::HOT`] names.
macro_rules! view {
    ($module:ident: $($field:ident $set_field:ident),+ $(,)?) => {
        mod $module {
            use super::*;

            #[derive(Session)]
            struct Bench {
                #[session(merge = "add")]
                counter: u64,
                $($field: String,)+
            }

            pub fn routes() -> Router {
                Router::new()
                    .route("/untouched", get(async || "ok"))
                    .route("/read", get(read))
                    .route("/write", get(write))
                    .route("/fill", get(fill))
                    .route("/check", get(check))
            }

            async fn read(session: TypedSession<Bench>) -> String {
                session.field_03().to_owned()
            }

            async fn write(mut session: TypedSession<Bench>) -> String {
                let value = data::next_value();
                session.set_field_03(value.as_str());
                value
            }

            async fn fill(mut session: TypedSession<Bench>) -> String {
                let values = data::next_values([$(stringify!($field)),+].len());
                let mut next = values.iter();
                $(session.$set_field(next.next().expect("a value per field").as_str());)+
                session.set_counter(data::COUNTER_START);
                data::summary(&values, data::COUNTER_START)
            }

            async fn check(session: TypedSession<Bench>) -> String {
                data::summary(&[$(session.$field().to_owned()),+], session.counter())
            }
        }
    };
}

view!(five:
    field_00 set_field_00, field_01 set_field_01, field_02 set_field_02,
    field_03 set_field_03, field_04 set_field_04
);
view!(twenty:
    field_00 set_field_00, field_01 set_field_01, field_02 set_field_02,
    field_03 set_field_03, field_04 set_field_04, field_05 set_field_05,
    field_06 set_field_06, field_07 set_field_07, field_08 set_field_08,
    field_09 set_field_09, field_10 set_field_10, field_11 set_field_11,
    field_12 set_field_12, field_13 set_field_13, field_14 set_field_14,
    field_15 set_field_15, field_16 set_field_16, field_17 set_field_17,
    field_18 set_field_18, field_19 set_field_19
);
