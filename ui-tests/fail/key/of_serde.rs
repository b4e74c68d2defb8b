use sessions::Session;

#[derive(Session)]
#[session(deny_unknown_fields, tag = "kind")]
struct Visit {
    #[session(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    #[session(flatten)]
    b: u8,
    #[session(serialize_with = "f")]
    c: u8,
    #[session(borrow)]
    d: String,
}

fn main() {}
