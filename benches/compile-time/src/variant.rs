//! The crates that are compared.

/// What the structs of a crate derive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Derive {
    Nothing,
    Serialize,
    Session,
}

impl Derive {
    pub const ALL: [Derive; 3] = [Derive::Nothing, Derive::Serialize, Derive::Session];

    pub fn name(self) -> &'static str {
        match self {
            Derive::Nothing => "plain",
            Derive::Serialize => "serde",
            Derive::Session => "sessions",
        }
    }
}

/// One generated crate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    pub derive: Derive,
    pub structs: usize,
}

impl Variant {
    pub fn package(self) -> String {
        format!("{}-{}", self.derive.name(), self.structs)
    }
}
