//! A Linux kernel's file, what is packed in it, and the program in that: the loader reads it to an end, writes to
//! memory of the guest alone, and what it accepts can be entered.

use std::collections::BTreeMap;

use cloison_abi::limits::PAGE_BYTES;
use linux_core::boot::{self, BootError, SCRATCH_BYTES, lz4};
use linux_core::{machine::Memory, stub};

/// Reads the file, the packed bytes, or the program, as the first byte chooses.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((b'f', file)) => start(file),
        Some((b'l', frame)) => unpack(frame),
        Some((b'p', program)) => start(&file(program)),
        _ => (),
    }
}

fn start(file: &[u8]) {
    let mut memory = Frames::default();
    match boot::build(&mut memory, file, b"initramfs", "quiet", &mut Box::new([0; SCRATCH_BYTES])) {
        Err(BootError::Refused { at }) => panic!("the loader took {at:#x} for memory of the guest"),
        Err(_) => (),
        Ok(start) => {
            for address in [start.registers.rip, start.registers.rsp - 1, start.registers.rsi] {
                assert!(memory.is_mapped(start.root, address), "{address:#x}");
            }
        }
    }
}

/// A frame after the two bytes of its unpacked length.
fn unpack(bytes: &[u8]) {
    let Some((length, frame)) = bytes.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes(*length)) * 16;
    let mut unpacked = 0;
    let result = lz4::unpack(frame, length, &mut Box::new([0; SCRATCH_BYTES]), |piece| {
        unpacked += piece.len();
        assert!(unpacked <= length);
        Ok(())
    });
    assert!(result.is_err() || unpacked == length);
}

/// A kernel's file with a program, packed as literal bytes.
fn file(program: &[u8]) -> Vec<u8> {
    let mut block = vec![0xf0];
    match program.len().checked_sub(15) {
        Some(rest) => {
            block.resize(1 + rest / 255, 255);
            block.push((rest % 255) as u8);
        }
        None => block[0] = (program.len() as u8) << 4,
    }
    block.extend(program);

    let mut file = vec![0; 0x400];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20fu16.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(block.len() as u32 + 12).to_le_bytes());
    file.extend(lz4::MAGIC);
    file.extend((block.len() as u32).to_le_bytes());
    file.extend(block);
    file.extend((program.len() as u32).to_le_bytes());
    file
}

/// Memory of which only the pages exist that were written.
#[derive(Default)]
struct Frames(BTreeMap<u64, Vec<u8>>);

impl Frames {
    fn is_mapped(&self, root: u32, address: u64) -> bool {
        let table = [3, 2, 1, 0].iter().try_fold(u64::from(root), |table, level| {
            let entry = self.load(table * PAGE_BYTES + 8 * (address >> (12 + 9 * level) & 0x1ff))?;
            (entry & 1 != 0).then_some(entry / PAGE_BYTES)
        });
        table.is_some()
    }

    fn is_there(&self, at: u64, length: usize) -> bool {
        let own = 0..u64::from(self.pages()) * PAGE_BYTES;
        // Behind the page with what the guest is told lies the table of grants.
        let shared = self.shared_address()..self.shared_address() + u64::from(stub::WORDS) * PAGE_BYTES;
        let end = at.saturating_add(length as u64);
        [own, shared].iter().any(|range| range.contains(&at) && end <= range.end)
    }
}

impl Memory for Frames {
    fn pages(&self) -> u32 {
        0x1203
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        for (at, byte) in (at..).zip(&mut *into) {
            let page = self.0.get(&(at / PAGE_BYTES));
            *byte = page.map_or(0, |page| page[(at % PAGE_BYTES) as usize]);
        }
        self.is_there(at, into.len()).then_some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        if !self.is_there(at, from.len()) {
            return None;
        }
        for (at, byte) in (at..).zip(from) {
            let page = self.0.entry(at / PAGE_BYTES).or_insert_with(|| vec![0; PAGE_BYTES as usize]);
            page[(at % PAGE_BYTES) as usize] = *byte;
        }
        Some(())
    }
}
