//! The kernels among the files of the test manifests are made here, small, each wrong in one place or in none.

mod support;

use linux_core::boot::{elf, lz4};
use support::fixtures;

/// ELF's numbers of architectures.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// Where the program of a kernel lies in its guest's memory.
const ADDRESS: u64 = 0x10_0000;
/// Bytes of the file before the compressed program.
const SETUP: usize = 2 * 512;

/// The files, by their names.
fn kernels() -> Vec<(&'static str, Vec<u8>)> {
    let good = vmlinuz(&program(X86_64, true));
    let packed_by = |magic: &[u8]| {
        let mut file = good.clone();
        file[SETUP..SETUP + magic.len()].copy_from_slice(magic);
        file
    };
    vec![
        ("kernel", good.clone()),
        ("kernel-bare", vmlinuz(&program(X86_64, false))),
        ("kernel-cut", good[..good.len() - 40].to_vec()),
        ("kernel-other", vmlinuz(&program(AARCH64, true))),
        ("kernel-strange", packed_by(b"\x01\x02\x03\x04\x05\x06")),
        ("kernel-xz", packed_by(b"\xfd7zXZ\0")),
    ]
}

/// A program with or without what says that it can be a guest.
fn program(machine: u16, is_guest: bool) -> Vec<u8> {
    use cloison_xen::start::note;
    let numbers = [
        (note::ENTRY, elf::VIRTUAL_BASE + ADDRESS),
        (note::VIRT_BASE, elf::VIRTUAL_BASE),
        (note::PADDR_OFFSET, 0),
        (note::INIT_P2M, elf::FRAME_LIST),
        (note::HV_START_LOW, 0xffff_8000_0000_0000),
    ];
    let mut notes = Vec::new();
    for (kind, number) in numbers.into_iter().filter(|_| is_guest) {
        notes.extend([4, 8, kind].map(u32::to_le_bytes).concat());
        notes.extend([&b"Xen\0"[..], &number.to_le_bytes()].concat());
    }
    let is_start_frame = [4, 4, note::MOD_START_PFN].map(u32::to_le_bytes).concat();
    notes.extend([&is_start_frame[..], b"Xen\0", &1_u32.to_le_bytes()].concat());
    let segment = |kind, flags, bytes: Vec<u8>| {
        let memory = bytes.len() as u64;
        support::Segment { kind, flags, address: ADDRESS, bytes, memory }
    };
    const NOTE: u32 = 4;
    let code = segment(support::LOAD, support::READ | support::EXECUTE, b"the code of a kernel".to_vec());
    let mut file = support::elf(ADDRESS, &[code, segment(NOTE, support::READ, notes)]);
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file
}

/// A program as a distribution ships it: packed, behind a setup header.
fn vmlinuz(program: &[u8]) -> Vec<u8> {
    let mut block = vec![0xf0];
    let rest = program.len() - 15;
    block.resize(block.len() + rest / 255, 255);
    block.push((rest % 255) as u8);
    block.extend(program);
    let frame = [lz4::MAGIC, &(block.len() as u32).to_le_bytes(), &block].concat();
    let mut file = vec![0; SETUP];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(frame.len() as u32 + 4).to_le_bytes());
    [file, frame, (program.len() as u32).to_le_bytes().to_vec()].concat()
}

/// With `UPDATE` set it writes them.
#[test]
#[allow(clippy::disallowed_methods, reason = "this is the test that asks, not the compiler")]
fn the_files_are_those_made_here() {
    for (name, kernel) in kernels() {
        let path = fixtures().root.join("files").join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &kernel).unwrap();
        }
        let found = std::fs::read(&path).unwrap_or_default();
        assert!(found == kernel, "{} is another one; run with UPDATE=1", path.display());
    }
}
