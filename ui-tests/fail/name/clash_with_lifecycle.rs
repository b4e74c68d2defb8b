use sessions::Session;

#[derive(Session)]
struct Visit {
    destroy: bool,
    save: u8,
    record_id: u64,
    snapshot: String,
    #[session(accessor = "rotate")]
    other: u8,
}

fn main() {}
