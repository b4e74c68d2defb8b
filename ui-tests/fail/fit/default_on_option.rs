use sessions::Session;

#[derive(Session)]
struct Visit {
    #[session(default = Some(1))]
    limit: Option<u32>,
    #[session(default)]
    other: Option<u32>,
}

fn main() {}
