//! Which entry of the segment table is which. `sysret` wants the user's data segment right before its code segment (AMD
//! APM volume 2, section 6.1.1).
//!
//! The numbers are those that 64-bit Linux is built with, for a guest loads them by itself: 0x2b into segment registers,
//! 0x33 by returning from an interrupt, 0x7b to ask for the number of its CPU. The code segment of 32-bit programs, 0x23, is
//! not there: from it, `syscall` would lead to the address in CSTAR, which is none.

/// The kernel's code.
pub const KERNEL_CODE: u16 = 0x08;
/// The kernel's data.
pub const KERNEL_DATA: u16 = 0x10;
/// From here on, `sysret` finds data 8 and code 16 further on.
pub const SYSRET_BASE: u16 = 0x20 | 3;
/// A domain's data.
pub const USER_DATA: u16 = 0x28 | 3;
/// A domain's code.
pub const USER_CODE: u16 = 0x30 | 3;
/// The task state, which takes two entries.
pub const TASK_STATE: u16 = 0x40;
/// A data segment whose limit, 0, is the number of the CPU.
pub const CPU_NUMBER: u16 = 0x78 | 3;
/// Entries.
pub const SEGMENTS: usize = 16;

const _: () = assert!(SYSRET_BASE + 8 == USER_DATA && SYSRET_BASE + 16 == USER_CODE);
const _: () = assert!(
    USER_DATA == cloison_abi::guest::GUEST_DATA_SELECTOR
        && USER_CODE == cloison_abi::guest::GUEST_CODE_SELECTOR
);

/// Instructions that say whether `ds`, `es`, `fs` or `gs` is not null: `all` is not zero then. They need another register,
/// `one`. Reading selectors is much cheaper than loading them.
macro_rules! is_a_selector_loaded {
    () => {
        concat!(
            "mov {all:e}, ds\n",
            "mov {one:e}, es\n",
            "or {all:e}, {one:e}\n",
            "mov {one:e}, fs\n",
            "or {all:e}, {one:e}\n",
            "mov {one:e}, gs\n",
            "or {all:e}, {one:e}",
        )
    };
}

/// Instructions that load the null selector into all four, by `all`. `gs` is loaded while the base of who is not the kernel is
/// active, so that the kernel's stays. In 64-bit mode the kernel uses none of the four, and the null selector is always valid.
/// The two `swapgs` cancel each other, and no interrupt but the NMI, which does not use `gs`, can come between.
macro_rules! clear_selectors {
    () => {
        concat!(
            "xor {all:e}, {all:e}\n",
            "mov ds, {all:e}\n",
            "mov es, {all:e}\n",
            "mov fs, {all:e}\n",
            "swapgs\n",
            "mov gs, {all:e}\n",
            "swapgs",
        )
    };
}

pub(super) use {clear_selectors, is_a_selector_loaded};
