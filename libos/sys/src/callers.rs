//! Where calls return to, as found on a stack: who had called whom when a domain has faulted.
//!
//! Programs keep no chain of frames, as that costs a register and two instructions for each call. So a word of the stack counts
//! that is an address of the program's text, behind a call. What an earlier call has left in a frame that is not used in whole
//! looks the same: one address too many is possible, one too few is not, as far as the words that are looked at.

/// Callers that are told.
pub const MOST: usize = 8;
/// Words of a stack that are looked at.
pub const WORDS: usize = 512;
/// Bytes of the longest call.
pub const CALL_BYTES: usize = 7;

/// Whether these bytes, those in front of an address, end with a call: `call rel32`, or `call r/m64` with whatever prefix and
/// length (manual volume 2, "CALL").
#[must_use]
pub fn ends_with_call(before: &[u8; CALL_BYTES]) -> bool {
    let relative = before[CALL_BYTES - 5] == 0xe8;
    // The opcode, then a byte whose bits 3 to 5 are 2: register, or memory with up to five more bytes.
    let indirect = (0..CALL_BYTES - 1).any(|at| {
        before[at] == 0xff && before[at + 1] >> 3 & 7 == 2 && {
            CALL_BYTES - at == length(before[at + 1], before.get(at + 2).copied())
        }
    });
    relative || indirect
}

/// Bytes of a `call r/m64` with this ModRM byte, and SIB byte if it has one.
fn length(modrm: u8, sib: Option<u8>) -> usize {
    let (mode, register) = (modrm >> 6, modrm & 7);
    let has_sib = mode != 3 && register == 4;
    let displacement = match mode {
        0 if register == 5 || (has_sib && sib.is_some_and(|sib| sib & 7 == 5)) => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    2 + usize::from(has_sib) + displacement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(code: &[u8]) -> bool {
        let mut before = [0x90; CALL_BYTES];
        before[CALL_BYTES - code.len()..].copy_from_slice(code);
        ends_with_call(&before)
    }

    #[test]
    fn calls_are_told_from_what_is_none() {
        let calls: &[&[u8]] = &[
            &[0xe8, 1, 2, 3, 4],             // call rel32
            &[0xff, 0xd0],                   // call rax
            &[0x41, 0xff, 0xd7],             // call r15
            &[0xff, 0x10],                   // call [rax]
            &[0xff, 0x14, 0x24],             // call [rsp]
            &[0xff, 0x50, 0x18],             // call [rax+0x18]
            &[0xff, 0x54, 0x24, 0x08],       // call [rsp+8]
            &[0xff, 0x15, 1, 2, 3, 4],       // call [rip+disp32]
            &[0xff, 0x93, 1, 2, 3, 4],       // call [rbx+disp32]
            &[0xff, 0x94, 0x24, 1, 2, 3, 4], // call [rsp+disp32]
            &[0xff, 0x14, 0xc5, 1, 2, 3, 4], // call [rax*8+disp32]
        ];
        for call in calls {
            assert!(ends(call), "{call:x?}");
        }
        let others: &[&[u8]] = &[
            &[],
            &[0xe9, 1, 2, 3, 4], // jmp rel32
            &[0xe8, 1, 2, 3],    // too short
            &[0xff, 0xe0],       // jmp rax
            &[0xff, 0x30],       // push [rax]
            &[0xff, 0xd0, 0x90], // something behind the call
            &[0xff, 0x50],       // a call that is not over
            &[0xff, 0x15, 1, 2, 3],
        ];
        for other in others {
            assert!(!ends(other), "{other:x?}");
        }
    }
}
