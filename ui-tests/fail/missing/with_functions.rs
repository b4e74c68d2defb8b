use sessions::Session;

mod module {
    pub fn serialize<S: serde::Serializer>(at: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*at)
    }
}

#[derive(Session)]
struct Visit {
    #[session(with = "module")]
    at: u64,
}

fn main() {}
