//! The kernel's file as it lies on the disc, field by field as the System V ABI's chapter on object files has it.
//! Boot loaders differ in what they put up with; a file that keeps to the letter suits all.

use std::{fs, path::Path};

use image_builder::build::{self, Built, Context};
use image_machine::{interrupts::Interrupts, progress::Progress};

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SECTION_BYTES: usize = 64;
const LOADED: u32 = 1;
const EXECUTABLE: u32 = 1;
/// What the kernel's text may have, in bytes: all of it has to be read by who wants to trust it. The pages that are mapped
/// no more once a domain runs (`.init`) are not among it.
const TEXT_BYTES: usize = 72 << 10;

/// A file, to be read at any place.
struct File(Vec<u8>);

impl File {
    fn number<const BYTES: usize>(&self, at: usize) -> usize {
        self.0[at..at + BYTES].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    /// Loaded segments, as flags, offset, address, bytes in the file, bytes in memory, alignment.
    fn segments(&self) -> Vec<(u32, [usize; 5])> {
        let headers = (0..self.number::<2>(0x38)).map(|index| self.number::<8>(0x20) + index * SEGMENT_BYTES);
        let loaded = headers.filter(|at| self.number::<4>(*at) as u32 == LOADED);
        let read = |at: usize| {
            let fields = [0x08, 0x10, 0x20, 0x28, 0x30].map(|field| self.number::<8>(at + field));
            (self.number::<4>(at + 4) as u32, fields)
        };
        loaded.map(read).collect()
    }

    /// How many bytes a section has.
    fn section_bytes(&self, name: &str) -> Option<usize> {
        let header = |index: usize| self.number::<8>(0x28) + index * SECTION_BYTES;
        let names = self.number::<8>(header(self.number::<2>(0x3e)) + 0x18);
        let has_name = |at: &usize| {
            let name_of = &self.0[names + self.number::<4>(*at)..];
            name_of.starts_with(name.as_bytes()) && name_of[name.len()] == 0
        };
        let section = (0..self.number::<2>(0x3c)).map(header).find(has_name)?;
        Some(self.number::<8>(section + 0x20))
    }
}

/// The smallest system.
fn hello() -> Built {
    let context = Context::find(Progress::silent(), Interrupts::none().unwrap()).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/hello.toml");
    let system = build::load(&context, manifest).unwrap();
    build::build(&context, system).unwrap()
}

#[test]
fn the_kernels_text_is_within_its_limit() {
    let file = File(fs::read(hello().symbols).unwrap());
    let bytes = file.section_bytes(".text").unwrap();
    assert!(
        bytes <= TEXT_BYTES,
        "the kernel's text has {bytes} bytes, {} more than it may: what the boot alone needs belongs into .init \
         (core-kernel/kernel/kernel.ld), the rest has to become less",
        bytes - TEXT_BYTES
    );
    assert!(file.section_bytes(".init").is_some_and(|init| init > 0), "nothing is for the boot alone");
}

#[test]
fn the_kernels_file_is_as_the_elf_specification_has_it() {
    let file = File(hello().kernel);
    // 64 bits, little end first, version 1; an executable for x86-64.
    assert_eq!(file.0[..7], *b"\x7fELF\x02\x01\x01");
    assert_eq!([0x10, 0x12].map(|at| file.number::<2>(at)), [2, 62]);
    assert_eq!(file.number::<4>(0x14), 1, "the version");
    assert_eq!([0x34, 0x36].map(|at| file.number::<2>(at)), [HEADER_BYTES, SEGMENT_BYTES]);
    sections_are_well_formed(&file);
    segments_are_well_formed(&file);
}

/// The first entry of a section table stands for no section. All its fields are zero, unless they hold a count that
/// its field in the header has no room for.
fn sections_are_well_formed(file: &File) {
    let [bytes, count, names] = [0x3a, 0x3c, 0x3e].map(|at| file.number::<2>(at));
    let table = file.number::<8>(0x28);
    assert_ne!(table, 0, "GRUB 2.12 refuses a file without a section table");
    assert_eq!((bytes, table % size_of::<u64>()), (SECTION_BYTES, 0));
    assert!(count > 0 && names < count, "{count} sections, named by number {names}");
    assert!(table + count * bytes <= file.0.len(), "the table ends behind the file");
    assert_eq!(file.0[table..table + bytes], [0; SECTION_BYTES]);
}

fn segments_are_well_formed(file: &File) {
    let segments = file.segments();
    let table = file.number::<8>(0x20)..file.number::<8>(0x20) + file.number::<2>(0x38) * SEGMENT_BYTES;
    assert!(table.start >= HEADER_BYTES && table.end <= file.0.len(), "{table:x?}");
    assert!(!segments.is_empty());
    assert!(segments.is_sorted_by_key(|(_, [_, address, ..])| *address), "by address: {segments:x?}");
    for (_, [offset, address, in_file, in_memory, alignment]) in &segments {
        assert!(in_file <= in_memory && offset + in_file <= file.0.len());
        assert!(alignment.is_power_of_two() && offset % alignment == address % alignment);
    }
    let entry = file.number::<8>(0x18);
    let starts = |(flags, [_, address, bytes, ..]): &(u32, [usize; 5])| {
        flags & EXECUTABLE != 0 && (*address..address + bytes).contains(&entry)
    };
    assert!(segments.iter().any(starts), "nothing to execute is loaded at the entry {entry:#x}");
}
