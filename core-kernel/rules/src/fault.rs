//! What an exception of the CPU means.

use cloison_abi::{Fault, FaultKind};

/// Bits of a page fault's error code (Intel SDM volume 3, section 4.7).
const WRITE: u64 = 1 << 1;
const FETCH: u64 = 1 << 4;

/// The fault of a domain that has caused the exception `vector` with the error code `code`. `address` is where the
/// last page fault struck.
#[must_use]
pub fn describe(vector: u64, code: u64, instruction: u64, address: u64) -> Fault {
    let (kind, code, address) = match vector {
        0 => (FaultKind::DivideError, 0, 0),
        1 | 3 => (FaultKind::Debug, vector, 0),
        6 => (FaultKind::InvalidInstruction, 0, 0),
        13 => (FaultKind::Privileged, code, 0),
        14 if code & FETCH != 0 => (FaultKind::ExecuteDenied, code, address),
        14 if code & WRITE != 0 => (FaultKind::WriteDenied, code, address),
        14 => (FaultKind::ReadDenied, code, address),
        16 | 19 => (FaultKind::FloatingPoint, vector, 0),
        17 => (FaultKind::Alignment, 0, 0),
        _ => (FaultKind::OtherException, vector, 0),
    };
    Fault { kind, code: code as u32, instruction, address }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(vector: u64, code: u64) -> FaultKind {
        describe(vector, code, 0x40_1000, 0x1234).kind
    }

    #[test]
    fn a_page_fault_is_named_after_the_access() {
        assert_eq!(kind(14, 0b101), FaultKind::ReadDenied);
        assert_eq!(kind(14, 0b111), FaultKind::WriteDenied);
        assert_eq!(kind(14, 0b1_0101), FaultKind::ExecuteDenied);
        assert_eq!(kind(14, 0b1_0111), FaultKind::ExecuteDenied);
        let fault = describe(14, 0b111, 0x40_1000, 0x1234);
        assert_eq!((fault.code, fault.instruction, fault.address), (0b111, 0x40_1000, 0x1234));
    }

    #[test]
    fn no_other_exception_tells_an_address() {
        for vector in (0..32).filter(|vector| *vector != 14) {
            assert_eq!(describe(vector, 5, 0, 0x1234).address, 0, "vector {vector}");
        }
        assert_eq!(kind(0, 0), FaultKind::DivideError);
        assert_eq!(kind(3, 0), FaultKind::Debug);
        assert_eq!(kind(6, 0), FaultKind::InvalidInstruction);
        assert_eq!(kind(13, 8), FaultKind::Privileged);
        assert_eq!(describe(13, 8, 0, 0).code, 8, "the selector");
        assert_eq!(kind(19, 0), FaultKind::FloatingPoint);
        assert_eq!(kind(17, 0), FaultKind::Alignment);
        assert_eq!(describe(2, 0, 0, 0).code, 2);
    }
}
