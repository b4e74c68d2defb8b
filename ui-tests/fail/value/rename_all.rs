use sessions::Session;

#[derive(Session)]
#[session(rename_all = "camelcase")]
struct Visit {
    a_b: u8,
}

fn main() {}
