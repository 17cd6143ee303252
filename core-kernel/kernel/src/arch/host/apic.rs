//! Interrupt controllers: which lines are open.

use std::cell::Cell;

use cloison_rules::{interrupts::Line, refs::InterruptId};

std::thread_local! {
    /// The lines that are open, as bits.
    static OPEN: Cell<u64> = const { Cell::new(0) };
}

/// The local APIC.
#[derive(Clone, Copy)]
pub struct LocalApic(());

impl LocalApic {
    /// As on a PC.
    pub const NONE: Self = Self(());

    /// The number by which the I/O APIC names this CPU.
    pub fn identity(self) -> u8 {
        0
    }
}

/// An I/O APIC.
#[derive(Clone, Copy)]
pub struct IoApic(());

impl IoApic {
    /// As on a PC.
    pub const NONE: Self = Self(());

    /// Whether it has a line of this number.
    pub fn has(self, line: u8) -> bool {
        line < LINES
    }

    /// Lets a line interrupt.
    pub fn unmask(self, line: Line, _id: InterruptId) {
        OPEN.set(OPEN.get() | 1 << line.number());
    }

    /// Keeps a line from interrupting.
    pub fn mask(self, line: Line) {
        OPEN.set(OPEN.get() & !(1 << line.number()));
    }
}

/// Lines that there are.
pub const LINES: u8 = 24;

/// What a device writes, and where, for an interrupt by message.
pub fn message(id: InterruptId, _target: u8) -> (u64, u32) {
    (0xfee0_0000, 32 + id.index() as u32)
}

/// Masks all lines.
pub fn reset() {
    OPEN.set(0);
}

/// Whether a line may interrupt.
pub fn is_open(line: u8) -> bool {
    OPEN.get() & 1 << line != 0
}
