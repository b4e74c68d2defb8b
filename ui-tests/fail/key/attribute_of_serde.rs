use sessions::Session;

#[derive(Session)]
struct Visit {
    #[serde(default)]
    a: u8,
}

fn main() {}
