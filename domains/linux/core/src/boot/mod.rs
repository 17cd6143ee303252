//! What lies in the guest's memory before its first instruction.
//!
//! A kernel comes as the file that a distribution ships. The program in it is unpacked straight to its place; what
//! Linux expects of Xen's domain builder is put behind it. The guest's memory has to be zero before.

use cloison_abi::guest::GuestRegisters;

pub mod elf;
mod error;
pub mod layout;
pub mod load;
pub mod lz4;
mod start;
pub mod vmlinuz;

#[cfg(test)]
mod tests;

pub use error::BootError;

use crate::machine::Memory;

/// Event channel of xenstore.
pub const STORE_PORT: u32 = 1;
/// Event channel of the console.
pub const CONSOLE_PORT: u32 = 2;

/// Bytes that unpacking a kernel takes beside the guest's memory.
pub const SCRATCH_BYTES: usize = lz4::WINDOW_BYTES;

/// A guest that can be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first registers.
    pub registers: GuestRegisters,
    /// Frame of the page table's root.
    pub root: u32,
    /// Frame of the console's ring.
    pub console: u32,
    /// Frame of xenstore's ring.
    pub store: u32,
}

/// Puts a kernel and all that it expects into the guest's memory, which has to be zero.
///
/// # Errors
/// [`BootError`] says what is wrong with the kernel, or how much memory the guest needs.
pub fn build(
    memory: &mut impl Memory,
    vmlinuz: &[u8],
    initramfs: &[u8],
    command_line: &str,
    scratch: &mut [u8; SCRATCH_BYTES],
) -> Result<Start, BootError> {
    let initramfs_bytes = initramfs.len() as u64;
    let kernel = load::load(memory, vmlinuz, initramfs_bytes, scratch)?;
    let layout = layout::Layout::new(kernel.program.end, initramfs_bytes, memory.pages().into());
    let registers = start::write(memory, &kernel, &layout, initramfs, command_line)?;
    let [root, console, store] = [layout.root, layout.console, layout.store]
        .map(|frame| u32::try_from(frame).expect("less than the pages of memory, whose number has 32 bits"));
    Ok(Start { registers, root, console, store })
}
