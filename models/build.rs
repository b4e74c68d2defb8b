//! Turns on the library's `cfg(shuttle)`, here and nowhere else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=shuttle");
}
