//! The segment registers of guests. Those of domains are always zero, with their bases.

use core::arch::asm;

use cloison_rules::guest::kept_selector;

use super::{
    guest_context::Segments,
    selectors::{clear_selectors, is_a_selector_loaded},
};

/// The base of `fs`, and that of `gs` outside of the kernel.
const FS_BASE: u32 = 0xc000_0100;
pub(super) const KERNEL_GS_BASE: u32 = 0xc000_0102;

impl Segments {
    /// Loads the bases. A selector that is loaded takes the base with it, so they come last.
    #[inline(always)]
    pub(super) fn load_bases(&self) {
        if self.fs_base != 0 {
            write_base(FS_BASE, self.fs_base);
        }
        if self.gs_base != 0 {
            write_base(KERNEL_GS_BASE, self.gs_base);
        }
    }

    /// Loads the selectors. All are null, unless the domain has set some that runs the guest: the guest may find those.
    pub(super) fn load_selectors(&self) {
        if self.selectors != [0; 4] {
            set_selectors(self.selectors);
        }
    }

    /// Notes what is in them, and clears them.
    #[inline(always)]
    pub(super) fn unload(&mut self) {
        // A null selector that is loaded can take the base with it (it does so on Intel's CPUs, and in QEMU), so the bases
        // are read first.
        (self.fs_base, self.gs_base) = (read_base(FS_BASE), read_base(KERNEL_GS_BASE));
        self.selectors = [0; 4];
        take_selectors(&mut self.selectors);
        if self.fs_base != 0 {
            write_base(FS_BASE, 0);
        }
        if self.gs_base != 0 {
            write_base(KERNEL_GS_BASE, 0);
        }
    }
}

/// If one of the four is not null: notes them, and clears them. In one piece: where the compiler sees a call, the way out
/// of a guest pays for the registers that it needs.
#[inline(always)]
fn take_selectors(to: &mut [u16; 4]) {
    // SAFETY: the four selectors are written to the place for them, and nothing else; for the rest, see `clear_selectors`.
    unsafe {
        asm!(
            is_a_selector_loaded!(),
            "jz 2f",
            "mov [{to}], ds",
            "mov [{to} + 2], es",
            "mov [{to} + 4], fs",
            "mov [{to} + 6], gs",
            clear_selectors!(),
            "2:",
            to = in(reg) to,
            all = out(reg) _,
            one = out(reg) _,
            options(nostack),
        );
    }
}

/// Loads `ds`, `es`, `fs`, `gs`. `gs` is loaded while the base of who is not the kernel is active, so that the kernel's
/// stays.
#[cold]
#[inline(never)]
fn set_selectors(selectors: [u16; 4]) {
    let [ds, es, fs, gs] = selectors.map(|selector| u32::from(kept_selector(selector)));
    // SAFETY: the selectors are null or that of a guest's data, and in 64-bit mode the kernel uses none of the four. The
    // two `swapgs` cancel each other, and no interrupt but the NMI, which does not use `gs`, can come between.
    unsafe {
        asm!(
            "mov ds, {:e}",
            "mov es, {:e}",
            "mov fs, {:e}",
            "swapgs",
            "mov gs, {:e}",
            "swapgs",
            in(reg) ds,
            in(reg) es,
            in(reg) fs,
            in(reg) gs,
            options(nostack, nomem, preserves_flags),
        );
    }
}

#[inline(always)]
fn read_base(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: each CPU with 64 bits has the two registers.
    unsafe { asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nostack, nomem)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Sets a base that holds outside of the kernel: zero, that of registers that were checked, or one that a guest had.
#[inline(always)]
fn write_base(register: u32, base: u64) {
    let (low, high) = (base as u32, (base >> 32) as u32);
    // SAFETY: the kernel uses neither, and the base is canonical.
    unsafe { asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack, nomem)) };
}
