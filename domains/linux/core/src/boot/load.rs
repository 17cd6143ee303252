//! The kernel's program, from the compressed file to where it belongs.

use super::{
    BootError, elf,
    elf::{Notes, Place, Program, Segment},
    layout, lz4, vmlinuz,
};
use crate::machine::Memory;

/// A kernel that lies in the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What went where.
    pub program: Program,
    /// What it says of its start.
    pub notes: Notes,
}

/// Unpacks a kernel into the guest's memory. Nothing is written if it cannot fit beside an initramfs of that many bytes.
///
/// # Errors
/// All of [`BootError`].
pub fn load(
    memory: &mut impl Memory,
    vmlinuz: &[u8],
    initramfs_bytes: u64,
    window: &mut [u8; lz4::WINDOW_BYTES],
) -> Result<Kernel, BootError> {
    let payload = vmlinuz::payload(vmlinuz)?;
    let length = u64::from(payload.bytes);
    let mut program = None;
    let mut notes = [0; elf::NOTE_BYTES];
    let mut at = 0;
    lz4::unpack(payload.frame, payload.bytes as usize, window, |piece| {
        let program = match &program {
            Some(program) => program,
            // The window is larger than any headers; what is smaller is a whole file.
            None => {
                let read = Program::read(piece, length)?;
                let needed = layout::floor(read.end, initramfs_bytes);
                let has = u64::from(memory.pages());
                if needed > has {
                    return Err(BootError::TooLittleMemory { needed, has });
                }
                program.insert(read)
            }
        };
        for segment in program.segments() {
            take(memory, &mut notes, segment, at, piece)?;
        }
        at += piece.len() as u64;
        Ok(())
    })?;
    let program = program.ok_or(BootError::NotElf)?;
    let notes = Notes::read(&notes[..program.note_bytes], program.end)?;
    Ok(Kernel { program, notes })
}

/// Brings what of a piece of the file, which begins `at`, belongs to a segment to its place.
fn take(
    memory: &mut impl Memory,
    notes: &mut [u8],
    segment: Segment,
    at: u64,
    piece: &[u8],
) -> Result<(), BootError> {
    let start = at.max(segment.offset);
    let end = (at + piece.len() as u64).min(segment.offset + segment.bytes);
    if start >= end {
        return Ok(());
    }
    let bytes = &piece[(start - at) as usize..(end - at) as usize];
    match segment.place {
        Place::Memory { address, .. } => {
            let at = address + (start - segment.offset);
            memory.write(at, bytes).ok_or(BootError::Refused { at })
        }
        Place::Notes { after } => {
            let to = after + (start - segment.offset) as usize;
            notes[to..to + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }
}
