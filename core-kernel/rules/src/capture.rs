//! With which registers a thread may go on that somebody else has said.
//!
//! Whatever they are, the way out of the kernel with them must not fault, and what runs then is in ring 3 and leaves the
//! interrupt flag alone. Segments are not among them: a domain has none of its own.

use cloison_abi::{CallError, guest::GUEST_FLAGS};

use crate::{DomainAddress, guest::FIXED_FLAGS};

/// Words of the vector and floating point registers: 512 bytes for x87 and SSE, 64 of header, 256 for AVX (Intel SDM volume 1,
/// section 13.4).
pub const VECTOR_WORDS: usize = 104;
/// Where `mxcsr` is, in the low half.
pub const MXCSR: usize = 3;
/// The bits that it has. (A CPU with XSAVE has all of them, that for denormals too.)
const MXCSR_BITS: u64 = 0xffff;
/// Where the header begins: first which states are there.
const HEADER: usize = 64;
/// Where it ends.
const HEADER_END: usize = 72;

/// The flags with which a thread of a domain goes on at an instruction, with a stack: what is not the domain's to choose is
/// set as it has to be.
///
/// # Errors
/// [`CallError::BadArgument`] if one of the two is no address of a domain.
#[inline(always)]
pub fn checked_flags(instruction: u64, stack: u64, flags: u64) -> Result<u64, CallError> {
    match (DomainAddress::new(instruction), DomainAddress::new(stack)) {
        (Some(_), Some(_)) => Ok(flags & GUEST_FLAGS | FIXED_FLAGS),
        _ => Err(CallError::BadArgument),
    }
}

/// Makes vector registers fit to be loaded by XRSTOR on a CPU with these states enabled (Intel SDM volume 1, section 13.8.1:
/// a state that is not, anything in the rest of the header, or a reserved bit of `mxcsr` would fault).
///
/// # Errors
/// [`CallError::BadArgument`] if XSAVE cannot have written them there.
#[inline(always)]
pub fn check_vectors(area: &mut [u64; VECTOR_WORDS], enabled: u64) -> Result<(), CallError> {
    let wrong = area[HEADER + 1..HEADER_END].iter().fold(area[HEADER] & !enabled, |wrong, word| wrong | word);
    if wrong != 0 {
        return Err(CallError::BadArgument);
    }
    area[MXCSR] &= MXCSR_BITS;
    Ok(())
}

#[cfg(test)]
mod tests {
    use cloison_abi::limits::DOMAIN_END;
    use proptest::prelude::*;

    use super::*;

    const X87_SSE: u64 = 3;
    const ALL: u64 = 7;

    #[test]
    fn only_addresses_of_domains_are_gone_on_at() {
        let last = DOMAIN_END - 1;
        assert_eq!(checked_flags(last, last, 0), Ok(FIXED_FLAGS));
        for wrong in [DOMAIN_END, 1 << 47, u64::MAX] {
            assert_eq!(checked_flags(wrong, last, 0), Err(CallError::BadArgument), "{wrong:#x}");
            assert_eq!(checked_flags(last, wrong, 0), Err(CallError::BadArgument), "{wrong:#x}");
        }
    }

    /// Each flag alone: those that a program can set by itself stay, all others do not.
    #[test]
    fn flags_give_nothing_that_a_program_cannot_give_itself() {
        for bit in (0..64).map(|bit| 1 << bit) {
            let flags = checked_flags(0x40_1000, 0x40_2000, bit).unwrap();
            let own = bit & GUEST_FLAGS;
            assert_eq!(flags, own | FIXED_FLAGS, "{bit:#x}");
        }
        let (interrupts, io_privilege, nested_task, virtual_8086) = (1 << 9, 3 << 12, 1 << 14, 1 << 17);
        let flags = checked_flags(0, 0, u64::MAX).unwrap();
        assert_eq!(flags & (interrupts | io_privilege | nested_task | virtual_8086), interrupts);
        assert_eq!(checked_flags(0, 0, 0).unwrap() & interrupts, interrupts);
    }

    /// Each bit of the header alone.
    #[test]
    fn a_header_that_xrstor_refuses_is_refused() {
        for (word, bit) in (HEADER..HEADER_END).flat_map(|word| (0..64).map(move |bit| (word, bit))) {
            for enabled in [X87_SSE, ALL] {
                let mut area = [0; VECTOR_WORDS];
                area[word] = 1 << bit;
                let is_state = word == HEADER && enabled >> bit & 1 == 1;
                assert_eq!(check_vectors(&mut area, enabled).is_ok(), is_state, "bit {bit} of word {word}");
            }
        }
    }

    #[test]
    fn reserved_bits_of_mxcsr_are_cleared_and_others_kept() {
        let mut area = [u64::MAX; VECTOR_WORDS];
        area[HEADER..HEADER_END].fill(0);
        check_vectors(&mut area, ALL).unwrap();
        assert_eq!(area[MXCSR], 0xffff);
        let mut area = [0; VECTOR_WORDS];
        area[MXCSR] = 0x1f80;
        check_vectors(&mut area, ALL).unwrap();
        assert_eq!(area[MXCSR], 0x1f80);
    }

    proptest! {
        /// What XSAVE has written comes back as it was, but for the mask that it writes beside `mxcsr`.
        #[test]
        fn what_was_captured_is_restored(words in prop::collection::vec(any::<u64>(), VECTOR_WORDS), states in 0..8_u64) {
            let mut area: [u64; VECTOR_WORDS] = words.try_into().unwrap();
            area[HEADER..HEADER_END].fill(0);
            (area[HEADER], area[MXCSR]) = (states, area[MXCSR] & 0xffff);
            let before = area;
            prop_assert_eq!(check_vectors(&mut area, ALL), Ok(()));
            prop_assert_eq!(area, before);
        }
    }
}
