//! Counting, by instructions that are known.
#![allow(unsafe_code, reason = "a register is used from one instruction to the next by assembly alone")]

use core::arch::{
    asm,
    x86_64::{__cpuid, _xgetbv},
};

/// How the vector unit rounds here: toward zero, with all exceptions masked. Not as after a call.
const MXCSR: u32 = 0x7f80;
/// As after a call.
static INITIAL_MXCSR: u32 = 0x1f80;

/// Whether this CPU has the register, and the kernel lets it be used.
pub(crate) fn can_count() -> bool {
    /// In `ecx` of leaf 1: XSAVE is on, AVX.
    const BITS: u32 = 1 << 27 | 1 << 28;
    // SAFETY: XGETBV is there if XSAVE is on, which was looked at before.
    __cpuid(1).ecx & BITS == BITS && unsafe { enabled() } & 6 == 6
}

#[target_feature(enable = "xsave")]
fn enabled() -> u64 {
    // SAFETY: register 0 is there.
    unsafe { _xgetbv(0) }
}

/// Counts on by so much, in memory and in all four lanes of a register. Returns what is in the register then; none if its lanes
/// differ, or the vector unit does not round as it did.
pub(crate) fn on(counted: &mut u64, by: u64) -> Option<u64> {
    let (start, one) = (*counted as f64, 1_f64);
    let (mut lanes, mut mxcsr) = ([0_f64; 4], MXCSR);
    // SAFETY: all addresses are those of variables that nothing else refers to meanwhile, and the registers are named.
    unsafe {
        asm!(
            "ldmxcsr [{mxcsr}]",
            "vbroadcastsd ymm0, [{start}]",
            "vbroadcastsd ymm1, [{one}]",
            "2:",
            "vaddpd ymm0, ymm0, ymm1",
            "inc qword ptr [{counted}]",
            "dec {left}",
            "jnz 2b",
            "vmovupd [{lanes}], ymm0",
            "stmxcsr [{mxcsr}]",
            "ldmxcsr [{initial}]",
            "vzeroupper",
            mxcsr = in(reg) &raw mut mxcsr,
            start = in(reg) &raw const start,
            one = in(reg) &raw const one,
            counted = in(reg) &raw mut *counted,
            left = inout(reg) by => _,
            lanes = in(reg) lanes.as_mut_ptr(),
            initial = in(reg) &raw const INITIAL_MXCSR,
            out("ymm0") _,
            out("ymm1") _,
            options(nostack),
        );
    }
    // The flags of exceptions are set on the way; exact sums set none.
    (lanes == [lanes[0]; 4] && mxcsr == MXCSR).then_some(lanes[0] as u64)
}
