//! What the kernel finds beside itself: start info, page tables, the frame list, the initramfs, the first registers.

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::grant::{self, GrantEntry};
use cloison_xen::start::{COMMAND_LINE_BYTES, HYPERCALL_BYTES, MOD_START_IS_FRAME, StartInfo};
use zerocopy::IntoBytes;

use super::{
    BootError, CONSOLE_PORT, STORE_PORT, elf,
    layout::{ENTRIES, Layout},
    load::Kernel,
};
use crate::grants;
use crate::machine::Memory;
use crate::xenstore::BACKEND;

/// A hypercall's number that has instructions of its own in the hypercall page: it does not return.
const IRET: u8 = 23;
/// Interrupts on, and the bit that is always set.
const FLAGS: u64 = (1 << 9) | (1 << 1);
/// Offset in the shared page of the first virtual CPU's byte that masks events: they are masked at the start.
const EVENTS_MASKED: u64 = 1;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// An entry that names a page.
const PAGE: u64 = PRESENT | ACCESSED;
/// An entry that names a table.
const TABLE: u64 = PRESENT | WRITE | USER | ACCESSED | DIRTY;
/// An entry of the frame list that stands for no frame.
const NO_FRAME: u64 = u64::MAX;

/// Writes all of it.
///
/// # Errors
/// [`BootError::CommandLine`], [`BootError::Refused`].
pub fn write(
    memory: &mut impl Memory,
    kernel: &Kernel,
    layout: &Layout,
    initramfs: &[u8],
    command_line: &str,
) -> Result<GuestRegisters, BootError> {
    if command_line.len() >= COMMAND_LINE_BYTES || command_line.contains('\0') {
        return Err(BootError::CommandLine { bytes: command_line.len() });
    }
    let info = start_info(memory, layout, initramfs.len(), command_line);
    put(memory, layout.info * PAGE_BYTES, info.as_bytes())?;
    put(memory, memory.shared_address() + EVENTS_MASKED, &[1])?;
    put(memory, layout.initramfs * PAGE_BYTES, initramfs)?;
    grants(memory, layout)?;
    kernel_tables(memory, layout)?;
    frame_list(memory, layout)?;
    if let Some(page) = kernel.notes.hypercall_page {
        hypercall_page(memory, page - elf::VIRTUAL_BASE)?;
    }
    Ok(GuestRegisters {
        rip: kernel.notes.entry,
        rsp: address(layout.stack + 1),
        rsi: address(layout.info),
        rflags: FLAGS,
        ..GuestRegisters::default()
    })
}

/// The two entries that are granted before the guest can grant any: its rings to the console and to the store
/// (`xen/include/public/grant_table.h`).
fn grants(memory: &mut impl Memory, layout: &Layout) -> Result<(), BootError> {
    for (grant, frame) in [(grant::CONSOLE, layout.console), (grant::STORE, layout.store)] {
        let entry = GrantEntry { flags: grant::PERMIT_ACCESS, domain: BACKEND, frame: frame as u32 }; // It has 32 bits: see `build`.
        put(memory, grants::entry_at(memory, grant), entry.as_bytes())?;
    }
    Ok(())
}

/// Where a frame is mapped.
fn address(frame: u64) -> u64 {
    elf::VIRTUAL_BASE + frame * PAGE_BYTES
}

fn start_info(
    memory: &impl Memory,
    layout: &Layout,
    initramfs_bytes: usize,
    command_line: &str,
) -> StartInfo {
    let mut info = StartInfo::new();
    info.nr_pages = memory.pages().into();
    info.shared_info = memory.shared_address();
    info.flags = MOD_START_IS_FRAME;
    info.store_frame = layout.store;
    info.store_port = STORE_PORT;
    info.console_frame = layout.console;
    info.console_port = CONSOLE_PORT;
    info.pt_base = address(layout.root);
    info.nr_pt_frames = layout.tables;
    info.frame_list = elf::FRAME_LIST;
    info.first_list_frame = layout.list_tables;
    info.nr_list_frames = layout.end - layout.list_tables;
    if initramfs_bytes > 0 {
        info.mod_start = layout.initramfs;
        info.mod_bytes = initramfs_bytes as u64;
    }
    info.command_line[..command_line.len()].copy_from_slice(command_line.as_bytes());
    info
}

/// The tables that map the guest's first frames from [`elf::VIRTUAL_BASE`] on: themselves read-only, all else
/// writable.
fn kernel_tables(memory: &mut impl Memory, layout: &Layout) -> Result<(), BootError> {
    let tables = layout.root..layout.root + layout.tables;
    let [level3, level2, level1] = [1, 2, 3].map(|n| layout.root + n);
    table(memory, layout.root, |index| match index {
        _ if index == slot(elf::FRAME_LIST, 3) => entry(layout.list_tables, TABLE),
        _ if index == slot(elf::VIRTUAL_BASE, 3) => entry(level3, TABLE),
        _ => 0,
    })?;
    table(
        memory,
        level3,
        |index| if index == slot(elf::VIRTUAL_BASE, 2) { entry(level2, TABLE) } else { 0 },
    )?;
    table(memory, level2, |index| if index < layout.tables - 3 { entry(level1 + index, TABLE) } else { 0 })?;
    for n in 0..layout.tables - 3 {
        table(memory, level1 + n, |index| match n * ENTRIES + index {
            frame if frame >= layout.mapped_end => 0,
            frame if tables.contains(&frame) => entry(frame, PAGE),
            frame => entry(frame, PAGE | WRITE),
        })?;
    }
    Ok(())
}

/// The list that has the machine's frame for each of the guest's, here the same; and the tables that map it.
fn frame_list(memory: &mut impl Memory, layout: &Layout) -> Result<(), BootError> {
    let pages = u64::from(memory.pages());
    let [level3, level2, level1] = [0, 1, 2].map(|n| layout.list_tables + n);
    let tables = layout.list - level1;
    table(memory, level3, |index| if index == slot(elf::FRAME_LIST, 2) { entry(level2, TABLE) } else { 0 })?;
    table(memory, level2, |index| if index < tables { entry(level1 + index, TABLE) } else { 0 })?;
    for n in 0..tables {
        table(memory, level1 + n, |index| match layout.list + n * ENTRIES + index {
            frame if frame < layout.end => entry(frame, PAGE | WRITE),
            _ => 0,
        })?;
    }
    for n in 0..layout.end - layout.list {
        table(memory, layout.list + n, |index| match n * ENTRIES + index {
            frame if frame < pages => frame,
            _ => NO_FRAME,
        })?;
    }
    Ok(())
}

/// Which entry of a table of a level (0 is the lowest) an address takes.
fn slot(address: u64, level: u32) -> u64 {
    (address >> (12 + 9 * level)) % ENTRIES
}

fn entry(frame: u64, flags: u64) -> u64 {
    (frame * PAGE_BYTES) | flags
}

/// Fills a page with words.
fn table(memory: &mut impl Memory, frame: u64, word: impl Fn(u64) -> u64) -> Result<(), BootError> {
    let words: [u64; ENTRIES as usize] = core::array::from_fn(|index| word(index as u64));
    put(memory, frame * PAGE_BYTES, words.as_bytes())
}

/// Fills a page with the instructions of each hypercall, as Xen does: `rcx` and `r11`, which `syscall` overwrites, are
/// kept on the stack.
fn hypercall_page(memory: &mut impl Memory, at: u64) -> Result<(), BootError> {
    const PUSH: [u8; 3] = [0x51, 0x41, 0x53]; // push rcx; push r11
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    const POP: [u8; 4] = [0x41, 0x5b, 0x59, 0xc3]; // pop r11; pop rcx; ret
    for n in 0..(PAGE_BYTES as usize / HYPERCALL_BYTES) as u8 {
        let load = [0xb8, n, 0, 0, 0]; // mov eax, n
        let mut code = [0xcc; HYPERCALL_BYTES]; // int3
        let returns = n != IRET;
        let parts: [&[u8]; 5] =
            [&PUSH, if returns { &[] } else { &[0x50] }, &load, &SYSCALL, if returns { &POP } else { &[] }];
        let mut end = 0;
        for part in parts {
            code[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        put(memory, at + u64::from(n) * HYPERCALL_BYTES as u64, &code)?;
    }
    Ok(())
}

fn put(memory: &mut impl Memory, at: u64, bytes: &[u8]) -> Result<(), BootError> {
    memory.write(at, bytes).ok_or(BootError::Refused { at })
}
