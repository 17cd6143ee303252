//! Hog: computes without end. Its priority may be high; its budget sees to it that others have their turn.

#![no_std]
#![no_main]

cloison_rt::entry!(main);

fn main() {
    loop {
        // Not the instruction that says that one waits: emulators take their time over it.
        core::hint::black_box(());
    }
}
