//! Rebuilds this crate, and so every domain, when the linker script has changed.
fn main() {
    println!("cargo::rerun-if-changed=domain.ld");
}
