use sessions::Session;

#[derive(Session)]
#[session(rename_al = "camelCase", namspace = "a", colour = "red")]
struct Visit {
    a: u8,
}

fn main() {}
