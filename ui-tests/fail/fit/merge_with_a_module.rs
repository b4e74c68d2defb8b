use sessions::Session;

mod module {
    pub fn serialize<S: serde::Serializer>(n: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(*n)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

#[derive(Session)]
struct Visit {
    #[session(merge = "add", with = "module")]
    a: u32,
    #[session(merge = "max", with = "module")]
    b: u32,
    #[session(merge = "min", with = "module")]
    c: u32,
}

fn main() {}
