//! Kernels made up, damaged, and looked at once they are loaded.

use std::boxed::Box;
use std::string::ToString;
use std::vec::Vec;

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::start::{StartInfo, note};
use proptest::prelude::*;
use zerocopy::FromBytes;

use self::made::{CODE, DATA, DATA_MEMORY, ENTRY, Made, Part};
use super::{BootError, SCRATCH_BYTES, Start, build, elf, layout, vmlinuz};
use crate::grants::{self, Access};
use crate::machine::Memory;
use crate::testing::Ram;

mod made;
mod unpack;

/// Pages that the made-up kernel gets: not a multiple of 512.
const PAGES: u32 = 0x1203;

fn start(vmlinuz: &[u8], initramfs: &[u8], command_line: &str) -> Result<(Start, Ram), BootError> {
    start_with(PAGES, vmlinuz, initramfs, command_line)
}

fn start_with(
    pages: u32,
    vmlinuz: &[u8],
    initramfs: &[u8],
    command_line: &str,
) -> Result<(Start, Ram), BootError> {
    let mut ram = Ram::new(pages);
    let start = build(&mut ram, vmlinuz, initramfs, command_line, &mut Box::new([0; SCRATCH_BYTES]))?;
    Ok((start, ram))
}

fn error(vmlinuz: &[u8]) -> BootError {
    start(vmlinuz, b"", "").map(|(start, _)| start).unwrap_err()
}

fn info(start: &Start, ram: &Ram) -> StartInfo {
    let at = walk(ram, start.root, start.registers.rsi).expect("start info is mapped").0;
    StartInfo::read_from_bytes(ram.bytes(at, size_of::<StartInfo>()).unwrap()).unwrap()
}

/// Where an address of the guest is in its memory, and whether it may write there.
fn walk(ram: &Ram, root: u32, address: u64) -> Option<(u64, bool)> {
    let mut table = u64::from(root) * PAGE_BYTES;
    let mut write = true;
    for level in [3, 2, 1, 0] {
        let entry = ram.load(table + 8 * (address >> (12 + 9 * level) & 0x1ff))?;
        if entry & 1 == 0 {
            return None;
        }
        write &= entry & 2 != 0;
        table = entry & !(PAGE_BYTES - 1);
    }
    Some((table + address % PAGE_BYTES, write))
}

#[test]
fn the_program_lies_where_it_belongs() {
    let (start, ram) = start(&Made::new().vmlinuz(), b"", "").unwrap();
    let made = Made::new();
    assert_eq!(ram.bytes(CODE, 0x3001).unwrap(), made.parts[0].bytes);
    assert_eq!(ram.bytes(DATA, 0x1234).unwrap(), made.parts[2].bytes);
    assert!(ram.bytes(DATA + 0x1234, (DATA_MEMORY - 0x1234) as usize).unwrap().iter().all(|&byte| byte == 0));
    assert!(ram.bytes(0, CODE as usize).unwrap().iter().all(|&byte| byte == 0));
    assert_eq!(start.registers.rip, ENTRY);
    assert_eq!(walk(&ram, start.root, ENTRY), Some((CODE + 0x123, true)));
}

#[test]
fn a_program_larger_than_the_window_is_spread_piece_by_piece() {
    let mut made = Made::new();
    made.parts[0].address = 0x20_0000;
    made.parts[0].memory = 3 * SCRATCH_BYTES as u64;
    made.parts[0].bytes = made::pattern(3 * SCRATCH_BYTES - 5);
    let (_, ram) =
        start(&made.with_note(note::ENTRY, elf::VIRTUAL_BASE + 0x20_0000).vmlinuz(), b"", "").unwrap();
    let parts = Made::new().parts;
    assert_eq!(ram.bytes(0x20_0000, 3 * SCRATCH_BYTES - 5).unwrap(), made::pattern(3 * SCRATCH_BYTES - 5));
    assert_eq!(ram.bytes(DATA, 0x1234).unwrap(), parts[2].bytes);
}

#[test]
fn start_info_says_where_all_is() {
    let initramfs = made::pattern(5000);
    let (start, ram) = start(&Made::new().vmlinuz(), &initramfs, "console=hvc0 quiet").unwrap();
    let info = info(&start, &ram);
    assert_eq!(&info.magic[..15], b"xen-3.0-x86_64\0");
    assert_eq!(info.nr_pages, u64::from(PAGES));
    assert_eq!(info.shared_info, 0x140_0000, "the next multiple of 2 MiB");
    assert_eq!(info.flags, 1 << 3);
    assert_eq!((info.store_frame, info.store_port), (u64::from(start.store), 1));
    assert_eq!((info.console_frame, info.console_port), (u64::from(start.console), 2));
    assert_eq!(&info.command_line[..19], b"console=hvc0 quiet\0");
    assert_eq!(walk(&ram, start.root, info.pt_base), Some((u64::from(start.root) * PAGE_BYTES, false)));
    assert_eq!(info.mod_bytes, 5000);
    assert_eq!(ram.bytes(info.mod_start * PAGE_BYTES, 5000).unwrap(), initramfs);
    assert_eq!(info.frame_list, 0x80_0000_0000);
    assert_eq!(ram.bytes(info.shared_info, 3).unwrap(), [0, 1, 0], "events are masked");
    // In Xen's order, without a gap until the stack.
    let first = (DATA + DATA_MEMORY).div_ceil(PAGE_BYTES);
    let frames = [info.store_frame, info.console_frame, u64::from(start.root)];
    assert_eq!(frames, [first + 1, first + 2, first + 3]);
    assert_eq!(start.registers.rsp, info.pt_base + (info.nr_pt_frames + 1) * PAGE_BYTES);
}

#[test]
fn the_rings_that_start_info_names_are_granted_and_nothing_else() {
    let (start, ram) = start(&Made::new().vmlinuz(), b"", "").unwrap();
    let page = |grant| grants::page(&ram, grant, Access::Write).ok();
    assert_eq!(page(0), Some(u64::from(start.console) * PAGE_BYTES));
    assert_eq!(page(1), Some(u64::from(start.store) * PAGE_BYTES));
    assert_eq!((2..grants::ENTRIES).find_map(page), None);
}

#[test]
fn without_an_initramfs_none_is_named() {
    let (start, ram) = start(&Made::new().vmlinuz(), b"", "").unwrap();
    let info = info(&start, &ram);
    assert_eq!((info.mod_start, info.mod_bytes), (0, 0));
}

#[test]
fn the_first_frames_are_mapped_and_tables_cannot_be_written() {
    let (start, ram) = start(&Made::new().vmlinuz(), &[1; 9000], "").unwrap();
    let info = info(&start, &ram);
    let tables = u64::from(start.root)..u64::from(start.root) + info.nr_pt_frames;
    let mapped = (0..0x8000)
        .take_while(|frame| walk(&ram, start.root, elf::VIRTUAL_BASE + frame * PAGE_BYTES).is_some());
    let mapped = mapped.count() as u64;
    assert_eq!(mapped % 1024, 0, "it ends at a multiple of 4 MiB");
    let stack = (start.registers.rsp - elf::VIRTUAL_BASE) / PAGE_BYTES;
    assert!(mapped >= stack + 128, "512 KiB are left");
    assert_eq!(mapped, info.mod_start, "what follows is the initramfs");
    assert_eq!(info.nr_pt_frames, 3 + mapped / 512);
    for frame in 0..0x8000 {
        let found = walk(&ram, start.root, elf::VIRTUAL_BASE + frame * PAGE_BYTES);
        let expected = (frame < mapped).then_some((frame * PAGE_BYTES, !tables.contains(&frame)));
        assert_eq!(found, expected, "frame {frame:#x}");
    }
}

#[test]
fn the_frame_list_names_each_frame_itself() {
    for pages in [0x1200, PAGES, 512 * 512 + 5] {
        let (start, ram) = start_with(pages, &Made::new().vmlinuz(), &[7; 100], "").unwrap();
        let info = info(&start, &ram);
        let list_pages = u64::from(pages).div_ceil(512);
        for frame in 0..list_pages * 512 {
            let (at, write) =
                walk(&ram, start.root, info.frame_list + 8 * frame).expect("the list is mapped");
            assert!(write);
            let expected = if frame < pages.into() { frame } else { u64::MAX };
            assert_eq!(ram.load(at), Some(expected));
        }
        assert_eq!(walk(&ram, start.root, info.frame_list + list_pages * PAGE_BYTES), None);
        assert_eq!(info.nr_list_frames, 2 + list_pages.div_ceil(512) + list_pages);
        assert_eq!(info.first_list_frame, info.mod_start + 1, "it follows the initramfs");
    }
}

#[test]
fn the_first_registers_are_what_xen_gives() {
    let (start, ram) = start(&Made::new().vmlinuz(), b"", "").unwrap();
    let registers = start.registers;
    assert_eq!(registers.rflags, 0x202);
    assert!(walk(&ram, start.root, registers.rsp - 8).is_some_and(|(_, write)| write));
    let rest = [registers.rax, registers.rdi, registers.r15, registers.fs_base, registers.gs_base];
    assert_eq!(rest, [0; 5]);
}

#[test]
fn hypercalls_are_filled_in_where_a_kernel_wants_them() {
    let page = elf::VIRTUAL_BASE + CODE + 0x1000;
    let (_, ram) = start(&Made::new().with_note(note::HYPERCALL_PAGE, page).vmlinuz(), b"", "").unwrap();
    let call = |n: u64| ram.bytes(CODE + 0x1000 + 32 * n, 32).unwrap();
    assert_eq!(&call(1)[..15], [0x51, 0x41, 0x53, 0xb8, 1, 0, 0, 0, 0x0f, 5, 0x41, 0x5b, 0x59, 0xc3, 0xcc]);
    assert_eq!(&call(127)[..5], [0x51, 0x41, 0x53, 0xb8, 127]);
    assert_eq!(&call(23)[..12], [0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 5, 0xcc]);
    let beyond = elf::VIRTUAL_BASE + 0x20_0000;
    for wrong in [page + 8, beyond, 0x1000] {
        let error = error(&Made::new().with_note(note::HYPERCALL_PAGE, wrong).vmlinuz());
        assert!(error == BootError::Outside { name: "HYPERCALL_PAGE", address: wrong }, "{error:?}");
    }
}

#[test]
fn another_file_is_no_kernel() {
    let whole = Made::new().vmlinuz();
    let mut file = whole.clone();
    file[0x203] = b'x';
    assert_eq!(error(&file), BootError::NotAKernel);
    let mut old = whole.clone();
    old[0x206..0x208].copy_from_slice(&0x207u16.to_le_bytes());
    assert_eq!(error(&old), BootError::NotAKernel);
    assert_eq!(error(b""), BootError::NotAKernel);
    assert_eq!(error(&whole[..0x205]), BootError::NotAKernel);
    assert_eq!(error(&whole[..0x24f]), BootError::CutShort { needed: 0x250, has: 0x24f });
    let end = whole.len() as u64 - 24;
    assert_eq!(error(&whole[..1600]), BootError::CutShort { needed: end, has: 1600 });
    assert_eq!(error(&whole[..end as usize - 1]), BootError::CutShort { needed: end, has: end - 1 });
    let mut huge = whole.clone();
    huge[0x248..0x250].fill(0xff);
    assert_eq!(
        error(&huge),
        BootError::CutShort { needed: 3 * 512 + 2 * 0xffff_ffff, has: whole.len() as u64 }
    );
}

#[test]
fn no_setup_sectors_stand_for_four() {
    let mut file = Made::new().vmlinuz();
    let payload = vmlinuz::payload(&file).unwrap().bytes;
    file[0x1f1] = 0;
    file.splice(3 * 512..3 * 512, [0; 2 * 512]);
    assert_eq!(vmlinuz::payload(&file).map(|payload| payload.bytes), Ok(payload));
}

#[test]
fn other_compressions_are_named() {
    let names = [
        (&b"\xfd7zXZ\0"[..], "xz"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"BZh9", "bzip2"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x89LZO\0", "lzo"),
        (b"\x5d\0\0\0", "lzma"),
        (b"\x04\x22\x4d\x18", "lz4 in its new frame"),
        (b"what?", "an unknown method"),
        (b"", "an unknown method"),
    ];
    for (begins, name) in names {
        let file = made::vmlinuz(begins, 100);
        assert_eq!(error(&file), BootError::Compression(name));
    }
    let mut magic_alone = made::vmlinuz(b"", 0);
    let at = magic_alone.len() - 24 - 4;
    magic_alone[at..at + 4].copy_from_slice(super::lz4::MAGIC);
    assert_eq!(error(&magic_alone), BootError::Damaged, "the length is not a frame at the same time");
}

#[test]
fn other_programs_are_told_apart() {
    let made = Made::new();
    let with = |change: fn(&mut Made)| {
        let mut made = made.clone();
        change(&mut made);
        error(&made.vmlinuz())
    };
    assert_eq!(with(|made| made.magic[1] = b'e'), BootError::NotElf);
    assert_eq!(with(|made| made.header_bytes = 32), BootError::NotElf);
    assert_eq!(with(|made| made.machine = 183), BootError::Architecture { machine: 183, wide: true });
    assert_eq!(with(|made| made.class = 1), BootError::Architecture { machine: 62, wide: false });
    assert_eq!(error(&made::vmlinuz(super::lz4::MAGIC, 0)), BootError::NotElf, "nothing at all");
    let short = &made.elf()[..64 + 55];
    assert_eq!(error(&made::vmlinuz(&made::frame(short, 100), short.len() as u32)), BootError::NotElf);
    let elf = made.elf();
    let less = &elf[..elf.len() - 1];
    let cut = BootError::CutShort { needed: elf.len() as u64, has: less.len() as u64 };
    assert_eq!(error(&made::vmlinuz(&made::frame(less, 0x900), less.len() as u32)), cut);
}

#[test]
fn parts_and_notes_are_bounded() {
    let small = |n: u64| Part { kind: 1, address: CODE + n, memory: 1, bytes: [1].into() };
    let mut made = Made::new();
    made.parts = (0..15).map(small).collect();
    let made = made.with_note(note::ENTRY, elf::VIRTUAL_BASE + CODE);
    assert!(start(&made.vmlinuz(), b"", "").is_ok(), "15, and the notes");
    let mut more = made.clone();
    more.parts.push(small(15));
    assert_eq!(error(&more.vmlinuz()), elf::TOO_MANY);
    let mut long = made.clone();
    long.notes.resize(elf::NOTE_BYTES, 0);
    assert!(start(&long.vmlinuz(), b"", "").is_ok());
    let second = Part { kind: 4, address: 0, memory: 0, bytes: [0].into() };
    long.parts[0] = second;
    assert_eq!(error(&long.vmlinuz()), elf::TOO_MANY, "all notes together");
}

#[test]
fn parts_have_to_lie_in_the_first_gib() {
    let place = |address, memory| {
        let mut made = Made::new();
        made.parts[0].address = address;
        made.parts[0].memory = memory;
        start_with(0x40000, &made.with_note(note::ENTRY, elf::VIRTUAL_BASE + DATA).vmlinuz(), b"", "")
            .map(|_| ())
    };
    assert_eq!(place(elf::IMAGE_END - 0x3001, 0x3001), Ok(()));
    for (address, bytes) in [
        (elf::IMAGE_END - 0x3001, 0x3002),
        (u64::MAX - 1, 0x3001),
        (elf::VIRTUAL_BASE, 0x3001),
        (CODE, u64::MAX - 5),
        (CODE, 0x3000), // Less than it has in the file.
    ] {
        assert_eq!(place(address, bytes), Err(BootError::Placement { address, bytes }));
    }
}

#[test]
fn notes_have_to_ask_for_what_is_done() {
    let accepted = |made: Made| start(&made.vmlinuz(), b"", "").map(|(start, _)| start.registers.rip);
    assert_eq!(accepted(Made::new().without_note(note::ENTRY)), Err(BootError::NoEntry));
    for (name, kind, expected) in [
        ("VIRT_BASE", note::VIRT_BASE, 0xffff_ffff_8000_0000),
        ("PADDR_OFFSET", note::PADDR_OFFSET, 0),
        ("INIT_P2M", note::INIT_P2M, 0x80_0000_0000),
        ("MOD_START_PFN", note::MOD_START_PFN, 1),
    ] {
        let found = Some(expected + 0x1000);
        let other = Made::new().with_note(kind, expected + 0x1000);
        assert_eq!(accepted(other), Err(BootError::Note { name, found, expected }));
        let none = accepted(Made::new().without_note(kind));
        let default = if kind == note::PADDR_OFFSET {
            Ok(ENTRY)
        } else {
            Err(BootError::Note { name, found: None, expected })
        };
        assert_eq!(none, default, "{name}");
    }
    assert_eq!(accepted(Made::new().without_note(note::HV_START_LOW)), Ok(ENTRY));
    let higher = accepted(Made::new().with_note(note::HV_START_LOW, 0xffff_8000_0000_1000));
    assert!(matches!(higher, Err(BootError::Note { name: "HV_START_LOW", .. })));
    let end = elf::VIRTUAL_BASE + DATA + DATA_MEMORY;
    for entry in [0, CODE, elf::VIRTUAL_BASE - 1, end] {
        let error = accepted(Made::new().with_note(note::ENTRY, entry)).unwrap_err();
        assert_eq!(error, BootError::Outside { name: "ENTRY", address: entry });
    }
    assert_eq!(accepted(Made::new().with_note(note::ENTRY, end - 1)), Ok(end - 1));
}

#[test]
fn a_kernel_gets_what_it_needs_or_is_told_how_much_that_is() {
    let kernel = Made::new().vmlinuz();
    let end = DATA + DATA_MEMORY;
    // The kernel up to frame 0x107, start info and two rings, tables for 4 MiB, the stack; the initramfs; three
    // tables and a list; 8 MiB.
    let needed = 0x107 + 3 + 5 + 1 + 2 + 3 + 5 + 2048;
    assert_eq!(layout::floor(end, 5000), needed);
    let initramfs = [1; 5000];
    let has = needed as u32 - 1;
    let error = start_with(has, &kernel, &initramfs, "").map(|_| ()).unwrap_err();
    assert_eq!(error, BootError::TooLittleMemory { needed, has: has.into() });
    assert_eq!(
        error.to_string(),
        "the guest has 9 MiB of memory; with this kernel and initramfs it needs 10 MiB"
    );
    assert!(start_with(needed as u32, &kernel, &initramfs, "").is_ok());
}

#[test]
fn nothing_is_written_where_a_kernel_does_not_fit() {
    let mut ram = Ram::new(100);
    let built = build(&mut ram, &Made::new().vmlinuz(), b"", "", &mut Box::new([0; SCRATCH_BYTES]));
    assert!(matches!(built, Err(BootError::TooLittleMemory { has: 100, .. })));
    assert!(ram.bytes(0, 100 * PAGE_BYTES as usize).unwrap().iter().all(|&byte| byte == 0));
}

#[test]
fn the_command_line_has_1023_bytes_at_most() {
    let long = "x".repeat(1023);
    let kernel = Made::new().vmlinuz();
    let (start_of_long, ram) = start(&kernel, b"", &long).unwrap();
    assert_eq!(info(&start_of_long, &ram).command_line[1022..], [b'x', 0]);
    for wrong in ["x".repeat(1024), "a\0b".to_string()] {
        let bytes = wrong.len();
        assert_eq!(start(&kernel, b"", &wrong).map(|_| ()), Err(BootError::CommandLine { bytes }));
    }
}

#[test]
fn the_layout_of_debians_kernels_is_that_of_xen() {
    // As Xen's builder logs it for 256 MiB and an initramfs of 0x21a pages.
    let layout = layout::Layout::new(0x4a0_0000, 0x21a * PAGE_BYTES, 0x10000);
    assert_eq!([layout.info, layout.store, layout.console, layout.root], [0x4a00, 0x4a01, 0x4a02, 0x4a03]);
    assert_eq!([layout.tables, layout.stack, layout.mapped_end], [0x29, 0x4a2c, 0x4c00]);
    assert_eq!(
        [layout.initramfs, layout.list_tables, layout.end - layout.list_tables],
        [0x4c00, 0x4e1a, 0x83]
    );
    assert_eq!(layout::floor(0x3e0_0000, 1 << 20).div_ceil(256), 72, "MiB of the cloud flavour");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_damaged_kernel_is_refused_or_stays_in_its_memory(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), whole in any::<bool>(),
    ) {
        let mut bytes = if whole { Made::new().vmlinuz() } else { Made::new().elf() };
        for (at, byte) in damage {
            // Headers and notes are where it matters.
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let file = if whole { bytes } else { made::vmlinuz(&made::frame(&bytes, 0x900), bytes.len() as u32) };
        check(&file)?;
    }

    #[test]
    fn damaged_headers_are_refused_or_stay_in_their_memory(
        damage in prop::collection::vec((0..64 + 56 * 4_usize, any::<u8>()), 1..6),
        notes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut made = Made::new();
        for (at, byte) in notes {
            let at = at.index(made.notes.len());
            made.notes[at] = byte;
        }
        let mut elf = made.elf();
        for (at, byte) in damage {
            elf[at] = byte;
        }
        check(&made::vmlinuz(&made::frame(&elf, 0x900), elf.len() as u32))?;
    }

    #[test]
    fn the_floor_has_room_for_the_layout(kernel_end in 1..elf::IMAGE_END, initramfs in 0..(1_u64 << 32)) {
        let floor = layout::floor(kernel_end, initramfs);
        for pages in [floor, floor + 1, floor + 512, 2 * floor] {
            let layout = layout::Layout::new(kernel_end, initramfs, pages);
            prop_assert!(layout.end <= pages);
            prop_assert!(layout.info * PAGE_BYTES >= kernel_end);
            prop_assert!(layout.tables - 3 <= 512, "one table of level 2");
        }
    }
}

/// A file is refused, but not because a byte is beyond the guest's memory; or it is loaded, and can be entered.
fn check(file: &[u8]) -> Result<(), TestCaseError> {
    match start(file, b"initramfs", "") {
        Err(error) => prop_assert!(!matches!(error, BootError::Refused { .. }), "{error}"),
        Ok((start, ram)) => {
            let registers = [start.registers.rip, start.registers.rsi, start.registers.rsp - 1];
            for address in registers {
                prop_assert!(walk(&ram, start.root, address).is_some(), "{address:#x}");
            }
        }
    }
    Ok(())
}

#[test]
fn each_error_is_a_sentence_with_its_values() {
    let errors: Vec<(BootError, &[&str])> = [
        (BootError::CutShort { needed: 20, has: 10 }, &["20", "10"][..]),
        (BootError::Compression("xz"), &["xz", "lz4"]),
        (BootError::Architecture { machine: 183, wide: true }, &["183", "64", "62"]),
        (BootError::Placement { address: 0x1234, bytes: 56 }, &["0x1234", "56"]),
        (BootError::NoEntry, &["CONFIG_XEN_PV"]),
        (BootError::Note { name: "VIRT_BASE", found: Some(5), expected: 6 }, &["VIRT_BASE", "0x5", "0x6"]),
        (BootError::Note { name: "INIT_P2M", found: None, expected: 6 }, &["INIT_P2M", "no note", "0x6"]),
        (BootError::Outside { name: "ENTRY", address: 0x12 }, &["ENTRY", "0x12"]),
        (BootError::CommandLine { bytes: 2000 }, &["2000", "1023"]),
        (elf::TOO_MANY, &["16", "2048"]),
    ]
    .into();
    for (error, words) in errors {
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{text}");
        }
    }
}
