use sessions::Session;

mod module {
    pub fn serialize<S: serde::Serializer>(at: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*at)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

#[derive(Session)]
struct Visit {
    #[session(with = "module")]
    at: u64,
}

fn main() {}
