//! The suite on the stores that need nothing around them.

sessions::testing::conformance!(memory, tests::Memory::default());
