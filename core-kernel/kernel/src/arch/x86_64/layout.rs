//! Where the linker has put the kernel.

use core::ops::Range;

use cloison_abi::limits::KERNEL_BASE;
use cloison_rules::memory::{LOW_MEMORY_END, Run};

unsafe extern "C" {
    static __init_start: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
}

/// The memory that the kernel's image takes, boot code included.
pub fn kernel_image() -> Run {
    Run::around(LOW_MEMORY_END, (&raw const __kernel_end) as u64 - KERNEL_BASE)
}

/// Addresses of the text that runs only until the first domain does.
pub(super) fn init() -> Range<u64> {
    (&raw const __init_start) as u64..text().start
}

/// Addresses of the kernel's text, but for [`init`].
pub(super) fn text() -> Range<u64> {
    (&raw const __text_start) as u64..(&raw const __text_end) as u64
}

/// Addresses of the kernel's constants.
pub(super) fn constants() -> Range<u64> {
    text().end..(&raw const __rodata_end) as u64
}
