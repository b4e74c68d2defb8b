use sessions::Session;

#[derive(Session)]
#[session(rename_all = "Title Case")]
struct Visit {
    a_b: u8,
}

fn main() {}
