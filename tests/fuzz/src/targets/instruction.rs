//! An instruction that a guest's kernel comes out for: it is carried out as the length says that a CPU finds, or it is not.

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_tpm::TPM_ADDRESS;
use iced_x86::{Decoder, DecoderOptions};
use linux_core::boot::Start;
use linux_core::guest::{Exit, Guest, Next};
use linux_core::machine::Memory;

use super::guest::{LINEAR, Place, ROOT, set};

/// The page with the instruction, and the one with the registers of the TPM.
const CODE: u64 = 50;
const DEVICE: u64 = 21;
/// Registers that the input sets.
const REGISTERS: u8 = 11;
const WORD: usize = 8;
/// Longest instruction.
const LONGEST: usize = 15;

/// The first byte says what it comes out for; then come the registers, and the instruction.
pub fn run(bytes: &[u8]) {
    let Some((why, rest)) = bytes.split_first() else { return };
    let Some((words, code)) = rest.split_at_checked(usize::from(REGISTERS) * WORD) else { return };
    let code = &code[..code.len().min(LONGEST)];
    let mut place = Place::with_tpm();
    let table = (ROOT + 3) * PAGE_BYTES + DEVICE * 8;
    place.store(table, TPM_ADDRESS | 0x63).expect("it is memory");
    place.write(CODE * PAGE_BYTES, code).expect("it is memory");
    let mut guest = Box::new(Guest::new());
    let start = Start { registers: GuestRegisters::default(), root: ROOT as u32, console: 6, store: 7 };
    let Ok(mut registers) = guest.start(&mut place, &start) else { return };
    for (number, word) in (0..REGISTERS).zip(words.chunks_exact(WORD)) {
        set(&mut registers, number, u64::from_le_bytes(word.try_into().expect("a word")));
    }
    registers.rip = LINEAR + CODE * PAGE_BYTES;
    let device = LINEAR + DEVICE * PAGE_BYTES + u64::from(*why >> 2);
    let (vector, code_of, address) = match why & 3 {
        0 => (13, 0, 0),
        1 => (6, 0, 0),
        2 => (14, 4, device),
        _ => (14, 6, device),
    };
    if vector == 14 {
        registers.rdi = device;
    }
    let before = registers.rip;
    let next = guest.step(&mut place, Exit::Trap { vector, code: code_of, address }, &mut registers);
    // It has no handler, so without an instruction that is known here it dies.
    if !matches!(next, Next::Go { .. } | Next::Wait { .. }) {
        return;
    }
    let moved = registers.rip.wrapping_sub(before);
    // A page fault in which nothing was carried out.
    if vector == 14 && moved == 0 {
        return;
    }
    assert!(0 < moved && moved <= LONGEST as u64, "{moved} bytes are carried out of {code:x?}");
    // The hypervisor's prefix is an instruction of its own, which no CPU has.
    if vector == 6 {
        return;
    }
    let found =
        Decoder::with_ip(64, &place.bytes(CODE * PAGE_BYTES, LONGEST), before, DecoderOptions::NONE).decode();
    assert!(
        found.is_invalid() || found.len() as u64 == moved,
        "{moved} bytes of {code:x?}, which has {}",
        found.len()
    );
}
