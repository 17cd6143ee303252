//! The log of events, as firmware keeps it (TCG *PC Client Platform Firmware Profile*, section 10: the crypto-agile
//! form, little endian).
//!
//! It begins with an event in an older form, which says which hashes follow. What it says is not trusted: replaying it
//! shows whether a TPM's registers agree with it.

mod read;
mod write;

pub use read::{BadLog, Log, LogEvent};
pub use write::{write_event, write_hashed, write_start, write_start_of};

use crate::{Bank, Registers};

/// Kinds of events (section 10.4.1 of that document).
pub mod kind {
    /// Nothing is extended: the log says something about itself or about the machine.
    pub const NO_ACTION: u32 = 3;
    /// The end of what comes before the operating system's loader.
    pub const SEPARATOR: u32 = 4;
    /// Something that a BIOS does.
    pub const ACTION: u32 = 5;
    /// Something that a boot loader measures.
    pub const LOADER: u32 = 0xd;
    /// What a disc says about what is on it and can be started.
    pub const LOADER_DATA: u32 = 0xe;
    /// A program of firmware's, or the boot loader.
    pub const UEFI_APPLICATION: u32 = 0x8000_0003;
    /// A disk's table of partitions.
    pub const UEFI_GPT: u32 = 0x8000_0006;
    /// Something that firmware does.
    pub const UEFI_ACTION: u32 = 0x8000_0007;
}

/// What the first event begins with.
const SIGNATURE: [u8; 16] = *b"Spec ID Event03\0";
/// What the event begins with that says at which locality firmware has started the TPM.
const LOCALITY_SIGNATURE: [u8; 16] = *b"StartupLocality\0";

/// What the registers of a bank are if the log tells the truth.
///
/// # Errors
///
/// The first event that cannot be read, and a log without this bank.
pub fn replay(log: &Log<'_>, bank: Bank) -> Result<Registers, BadLog> {
    if !log.has(bank) {
        return Err(BadLog { event: 0, what: "the log does not have this bank" });
    }
    let mut registers = Registers::new(bank);
    for event in log.events() {
        let event = event?;
        match event.kind {
            kind::NO_ACTION => {
                if let Some((&LOCALITY_SIGNATURE, [locality])) = event.data.split_first_chunk() {
                    registers.start_at(*locality);
                }
            }
            // The reader has seen that there is such a register and such a digest.
            _ => drop(registers.extend(event.pcr, event.digest(bank))),
        }
    }
    Ok(registers)
}
