//! Marks where what is measured begins and ends, for who follows a run from outside.
//!
//! A mark is a system call that is refused, because its slot is empty. `cargo image bench` has QEMU log when the
//! kernel begins to look for the objects of these two calls, and each write of CR3; so it knows how many of them lie
//! between two marks. Marks stand outside of what the domain itself counts.

#![no_std]

use cloison_rt::sys::{self, Slot};

/// A slot that no plan fills: the last one.
const EMPTY: Slot = Slot(127);

/// From here on rounds of another path come, in the order in which the line `paths: …` names them.
pub fn path() {
    begin();
}

/// A round of the path begins.
pub fn begin() {
    // Asks for figures without the right to.
    let _ = sys::figures(EMPTY, 0);
}

/// It ends, if one has begun.
pub fn end() {
    // Takes back a region that this domain does not have.
    let _ = sys::region_revoke(EMPTY);
}
