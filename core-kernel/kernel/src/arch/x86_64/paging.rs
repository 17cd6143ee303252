//! The kernel's own address space: the direct map of physical memory, built once at boot.

use cloison_abi::limits::PAGE_BYTES;
use cloison_rules::{
    Frame,
    memory::{Piece, Run, without},
};
use heapless::Vec;
use x86_64::structures::paging::PageTableFlags as Flags;

use super::{
    acpi::Found,
    layout::{constants, init, kernel_image, text},
    memory::SystemImage,
    physical::{direct, flush, load},
};
use crate::arch::{
    frames::FreeMemory,
    space::{KernelSpace, walk},
};

/// Builds the kernel's address space and loads it. Memory, the system image (which need not be in that memory)
/// and the interrupt controllers appear in the direct map, and nothing else does; text may be executed, read-only data
/// only read, everything else read and written, but for the page `guard`. None if memory for the tables is short.
pub fn build_kernel_space(
    free: &mut FreeMemory,
    memory: &[Run],
    image: &SystemImage,
    found: &Found,
    guard: u64,
) -> Option<KernelSpace> {
    let mut take = || Some(free.take(1)?.zeroed().run().first);
    let root = take()?;
    let own = [kernel_image(), image.pages()];
    let mut mapped = Vec::new();
    for run in memory.iter().chain(&without(&own, memory)) {
        for piece in run.pieces(|large| large.overlaps(own[0])) {
            // SAFETY: these are the kernel's own tables, made of pages that are nobody else's.
            unsafe { map_piece(root, piece, guard, &mut take) }?;
        }
    }
    // There is room for all of them.
    mapped.extend(memory.iter().copied().chain(own));
    for device in found.controllers() {
        // SAFETY: as above.
        let entry = unsafe { walk(root, direct(device), 1, &mut take, LINKS) }?;
        entry.set(device | (DATA | Flags::NO_CACHE | Flags::WRITE_THROUGH).bits());
        mapped.extend([Run::around(device, device + 1)]);
    }
    // SAFETY: the kernel runs in its image, on its stack; both are mapped where they are now, and so is what is used of
    // memory. The tables stay as they are.
    unsafe {
        load(root.address());
        Some(KernelSpace::new(root, mapped))
    }
}

/// Links of the kernel's own tables.
const LINKS: Flags = Flags::PRESENT.union(Flags::WRITABLE);
/// The kernel's own memory.
const DATA: Flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::GLOBAL).union(Flags::NO_EXECUTE);

/// Takes the text of the boot out of the kernel's half, in whatever address space. It has parsers and writes of control
/// registers, of which nothing should be left to jump to.
pub fn withdraw_init(space: &KernelSpace) {
    for address in init().step_by(PAGE_BYTES as usize) {
        // SAFETY: these are the kernel's own tables, and what goes is executed by nobody: the linker has refused each way
        // from the rest of the text into it.
        if let Some(entry) = unsafe { walk(space.root(), address, 1, &mut || None, LINKS) } {
            entry.set(0);
            flush(address);
        }
    }
}

/// Maps memory with the rights of the section of the kernel's image in which it lies, if it lies in one. The
/// page `guard` stays out.
///
/// # Safety
/// As for [`walk`].
unsafe fn map_piece(
    root: Frame,
    piece: Piece,
    guard: u64,
    take: &mut impl FnMut() -> Option<Frame>,
) -> Option<()> {
    let first = piece.pages.first;
    if piece.large {
        // SAFETY: so says the caller.
        let entry = unsafe { walk(root, direct(first.address()), 2, take, LINKS) }?;
        entry.set(first.address() | (DATA | Flags::HUGE_PAGE).bits());
        return Some(());
    }
    // SAFETY: so says the caller.
    let entry = unsafe { walk(root, direct(first.address()), 1, take, LINKS) }?;
    for page in piece.pages.frames() {
        let address = direct(page.address());
        let flags = match address {
            _ if address == guard => continue,
            _ if text().contains(&address) || init().contains(&address) => {
                DATA.difference(Flags::WRITABLE | Flags::NO_EXECUTE)
            }
            _ if constants().contains(&address) => DATA.difference(Flags::WRITABLE),
            _ => DATA,
        };
        // SAFETY: a piece lies in one table.
        unsafe { entry.after(page.number() - first.number()) }.set(page.address() | flags.bits());
    }
    Some(())
}
