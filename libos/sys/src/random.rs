//! Random numbers from the CPU.
#![allow(unsafe_code, reason = "the instruction exists only where CPUID says so")]

use core::arch::x86_64::{__cpuid, _rdrand64_step};

/// How often to ask before the CPU's source counts as dry (Intel SDM volume 1, section 7.3.17.1).
const TRIES: usize = 10;

/// A random number that nobody can guess. `None` if this CPU has no source of them, or it does not deliver.
#[must_use]
pub fn random() -> Option<u64> {
    // CPUID leaf 1, ECX bit 30: RDRAND.
    let has_source = __cpuid(1).ecx & 1 << 30 != 0;
    let mut number = 0;
    // SAFETY: CPUID says that the instruction is there; it writes a register.
    (has_source && (0..TRIES).any(|_| unsafe { step(&mut number) })).then_some(number)
}

/// # Safety
/// The CPU has RDRAND.
#[target_feature(enable = "rdrand")]
unsafe fn step(number: &mut u64) -> bool {
    _rdrand64_step(number) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_differ() {
        if let (Some(one), Some(other)) = (random(), random()) {
            assert_ne!(one, other);
        }
    }
}
