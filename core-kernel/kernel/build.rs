//! Links the kernel again when the linker script has changed.
fn main() {
    println!("cargo::rerun-if-changed=kernel.ld");
}
