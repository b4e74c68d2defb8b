//! The library under another name, behind a re-export too, while `sessions` is another crate.

/// A framework that brings the library along.
pub mod framework {
    pub use renamed;

    /// What another crate may be called in `#[session(crate = "…")]`.
    pub use renamed as deep;
}

/// Named by the dependency's name.
#[derive(Debug, renamed::Session)]
#[session(crate = "renamed")]
pub struct Direct {
    /// A number.
    #[session(merge = "add")]
    pub count: u32,
    /// A text.
    #[flash]
    pub message: Option<String>,
    /// A number with a default.
    #[session(default = 7, on_invalid = "reject", alias = "old")]
    pub other: u8,
}

/// Named through a re-export.
#[derive(Debug, framework::deep::Session)]
#[session(crate = "crate::framework::deep")]
pub struct Reexported {
    /// A list.
    #[session(merge = "last")]
    pub items: Vec<String>,
}

/// A handler of both.
pub fn handler(
    mut direct: renamed::TypedSession<Direct>,
    mut reexported: framework::renamed::TypedSession<Reexported>,
) -> bool {
    direct.add_count(1);
    reexported.items_mut().push(direct.take_message().unwrap_or_default());
    // the other crate of this name is not what the derive uses
    sessions::IS_ANOTHER_CRATE
}
