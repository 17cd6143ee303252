//! Why a kernel cannot be started.

use core::fmt;

/// Why a kernel cannot be started. Its text is a sentence for the person who chose the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The setup header of a Linux kernel for x86 is missing.
    NotAKernel,
    /// The file ends before what its headers promise.
    CutShort {
        /// Bytes that have to be there.
        needed: u64,
        /// Bytes that are.
        has: u64,
    },
    /// The compression is another one than LZ4's.
    Compression(&'static str),
    /// The compressed part contradicts itself.
    Damaged,
    /// The program inside is none in the form that is expected.
    NotElf,
    /// The program is for another architecture.
    Architecture {
        /// The number of the architecture, as ELF has it.
        machine: u16,
        /// Whether it is one of 64 bits.
        wide: bool,
    },
    /// The program has more parts, or notes, than there is room for here.
    TooManyParts {
        /// Parts that it can have.
        most: usize,
        /// Bytes of notes that it can have.
        note_bytes: usize,
    },
    /// A part of the program lies where a kernel cannot be loaded.
    Placement {
        /// Its first address.
        address: u64,
        /// Its bytes.
        bytes: u64,
    },
    /// The kernel has no entry for paravirtualised guests.
    NoEntry,
    /// A note asks for something else than what is done here.
    Note {
        /// Its name, as Xen's headers have it.
        name: &'static str,
        /// What it says, if it is there.
        found: Option<u64>,
        /// What it has to say.
        expected: u64,
    },
    /// A note names an address outside of the program.
    Outside {
        /// Its name.
        name: &'static str,
        /// The address.
        address: u64,
    },
    /// The guest has too little memory.
    TooLittleMemory {
        /// Pages that it needs at least.
        needed: u64,
        /// Pages that it has.
        has: u64,
    },
    /// The command line is too long.
    CommandLine {
        /// Its bytes.
        bytes: usize,
    },
    /// The guest's memory refused an access, although it said that it has the page.
    Refused {
        /// The address.
        at: u64,
    },
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotAKernel => f.write_str("the file is no Linux kernel for x86: it has no setup header"),
            Self::CutShort { needed, has } => {
                write!(f, "the kernel is cut short: its headers promise {needed} bytes, it has {has}")
            }
            Self::Compression(name) => write!(
                f,
                "the kernel is compressed with {name}, only lz4 can be unpacked here: \
                 take a flavour with lz4 (Debian: cloud-amd64), or pack it again"
            ),
            Self::Damaged => f.write_str("the kernel is damaged: its compressed part cannot be unpacked"),
            Self::NotElf => f.write_str("the kernel is damaged: no ELF program is in its compressed part"),
            Self::Architecture { machine, wide } => write!(
                f,
                "the kernel is for another architecture: ELF machine {machine} with {} bits, not 62 (x86-64) with 64",
                if wide { 64 } else { 32 }
            ),
            Self::TooManyParts { most, note_bytes } => {
                write!(f, "the kernel has more than {most} parts, or more than {note_bytes} bytes of notes")
            }
            Self::Placement { address, bytes } => write!(
                f,
                "the kernel wants {bytes} bytes at {address:#x}: it has to lie in the first GiB, page tables included"
            ),
            Self::NoEntry => f.write_str(
                "the kernel has no entry as a paravirtualised guest: build it with CONFIG_XEN_PV=y",
            ),
            Self::Note { name, found: Some(found), expected } => {
                write!(f, "the kernel's note {name} says {found:#x}, only {expected:#x} is supported")
            }
            Self::Note { name, found: None, expected } => {
                write!(f, "the kernel has no note {name}, it has to say {expected:#x}")
            }
            Self::Outside { name, address } => {
                write!(f, "the kernel's note {name} says {address:#x}, which is not an address of the kernel")
            }
            Self::TooLittleMemory { needed, has } => write!(
                f,
                "the guest has {} MiB of memory; with this kernel and initramfs it needs {} MiB",
                has / PAGES_OF_MIB,
                needed.div_ceil(PAGES_OF_MIB)
            ),
            Self::CommandLine { bytes } => write!(
                f,
                "the command line has {bytes} bytes; there is room for {}, none of them 0",
                cloison_xen::start::COMMAND_LINE_BYTES - 1
            ),
            Self::Refused { at } => write!(f, "the guest's memory has no byte at {at:#x}"),
        }
    }
}

impl core::error::Error for BootError {}

const PAGES_OF_MIB: u64 = (1 << 20) / cloison_abi::limits::PAGE_BYTES;
