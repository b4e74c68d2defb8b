//! `pass/<case>.rs` compiles and runs; `fail/<rule>/<case>.rs` fails with exactly the messages in its `.stderr`.
//!
//! The messages are those of the compiler in `rust-toolchain.toml`. After a change of the derive:
//! `TRYBUILD=overwrite cargo test -p ui-tests`, then read the difference as a user would.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    cases.compile_fail("fail/*/*.rs");
}
