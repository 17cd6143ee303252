//! What a domain did wrong, as data.

use core::fmt;

/// The kind of thing that a domain did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FaultKind {
    /// No fault.
    None = 0,
    /// Read an address that is not mapped for reading. `address` is the address.
    ReadDenied = 1,
    /// Wrote to an address that is not mapped for writing. `address` is the address.
    WriteDenied = 2,
    /// Jumped to an address that is not mapped for executing. `address` is the address.
    ExecuteDenied = 3,
    /// Used an instruction that is the kernel's alone, a port or a segment that is not its own, or an address
    /// that is not canonical (the CPU's general protection fault). `code` is the CPU's error code.
    Privileged = 4,
    /// Executed something that is no instruction on this CPU.
    InvalidInstruction = 5,
    /// Divided by zero, or overflowed a division.
    DivideError = 6,
    /// An exception of the floating point unit. `code` is the vector: 16 for x87, 19 for SIMD.
    FloatingPoint = 7,
    /// A breakpoint or single step, with no debugger. `code` is the vector: 1 or 3.
    Debug = 8,
    /// An access that is not aligned while the domain had asked for such faults.
    Alignment = 9,
    /// Any other exception. `code` is the vector.
    OtherException = 10,
    /// The domain gave up by itself: a panic. `code` is the source line; the message went to its log.
    Panic = 11,
    /// No fault: the domain has ended by itself. `address` is the code with which it has.
    Exit = 12,
}

impl FaultKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::ReadDenied,
        Self::WriteDenied,
        Self::ExecuteDenied,
        Self::Privileged,
        Self::InvalidInstruction,
        Self::DivideError,
        Self::FloatingPoint,
        Self::Debug,
        Self::Alignment,
        Self::OtherException,
        Self::Panic,
        Self::Exit,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// What a domain did wrong, where, and at which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was done.
    pub kind: FaultKind,
    /// Detail that depends on `kind`.
    pub code: u32,
    /// The instruction that did it.
    pub instruction: u64,
    /// The address that it was done to, where `kind` has one.
    pub address: u64,
}

impl Fault {
    /// The state of a domain that has done nothing wrong.
    pub const NONE: Self = Self { kind: FaultKind::None, code: 0, instruction: 0, address: 0 };
}

impl fmt::Display for Fault {
    /// One line that a person can read, to go after the name of the domain.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, code, instruction, address } = self;
        match kind {
            FaultKind::None => return write!(out, "no fault"),
            FaultKind::ReadDenied => write!(out, "read of {address:#x}, which it may not read")?,
            FaultKind::WriteDenied => write!(out, "write to {address:#x}, which it may not write")?,
            FaultKind::ExecuteDenied => write!(out, "jump to {address:#x}, which it may not execute")?,
            FaultKind::Privileged => write!(out, "forbidden instruction or port (error code {code:#x})")?,
            FaultKind::InvalidInstruction => write!(out, "invalid instruction")?,
            FaultKind::DivideError => write!(out, "division by zero or with overflow")?,
            FaultKind::FloatingPoint => write!(out, "floating point exception {code}")?,
            FaultKind::Debug => write!(out, "breakpoint or single step (exception {code})")?,
            FaultKind::Alignment => write!(out, "access that is not aligned")?,
            FaultKind::OtherException => write!(out, "exception {code}")?,
            FaultKind::Panic => return write!(out, "panic at source line {code}"),
            FaultKind::Exit => return write!(out, "end with code {address}"),
        }
        write!(out, ", at instruction {instruction:#x}")
    }
}
