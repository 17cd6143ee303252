//! Interrupt controllers: the local APIC with its timer, the I/O APIC, and the old PICs, which are silenced.

use cloison_abi::{
    limits::{MAX_INTERRUPT_LINES, MAX_INTERRUPTS},
    plan::{INTERRUPT_ACTIVE_LOW, INTERRUPT_LEVEL},
};
use cloison_rules::interrupts::io_apic_pins;
use x86_64::instructions::port::Port;

use super::{acpi::Machine, physical::direct};
use crate::arch::space::KernelSpace;

/// Vector of line 0; the others follow, then those of messages.
pub const FIRST_LINE_VECTOR: u8 = 32;
/// Vector of the timer.
pub const TIMER_VECTOR: u8 = FIRST_LINE_VECTOR + MAX_INTERRUPTS as u8;
/// Vector of which a device tells that has made it up: it stands for all from here on that are nobody's.
pub const STRAY_VECTOR: u8 = TIMER_VECTOR + 1;
/// Vector of interrupts that were withdrawn while on their way. Its low four bits have to be ones on old CPUs. A device
/// can send it too, and would hold back all others if that interrupt got no end: its class of 16 is the highest.
pub const SPURIOUS_VECTOR: u8 = 0xff;

const _: () = assert!(STRAY_VECTOR / 16 < SPURIOUS_VECTOR / 16);

/// What a device writes, and where, for an interrupt that is signalled by message to the CPU `target`; `None`
/// for a line. Intel SDM volume 3, section 11.11: fixed delivery, edge triggered.
pub fn message(number: u8, target: u8) -> Option<(u64, u32)> {
    let address = 0xfee0_0000 | u64::from(target) << 12;
    (usize::from(number) >= MAX_INTERRUPT_LINES).then(|| (address, u32::from(FIRST_LINE_VECTOR + number)))
}

/// Registers of the local APIC (Intel SDM volume 3, table 11-1).
const IDENTITY: u64 = 0x20;
const TASK_PRIORITY: u64 = 0x80;
const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const TIMER: u64 = 0x320;
const INITIAL_COUNT: u64 = 0x380;
const CURRENT_COUNT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;
/// Local interrupts other than the timer: thermal, performance counters, the two pins, errors.
const OTHER_LOCAL: [u64; 5] = [0x330, 0x340, 0x350, 0x360, 0x370];
const MASKED: u32 = 1 << 16;

/// The local APIC.
#[derive(Clone, Copy)]
pub struct LocalApic {
    registers: u64,
}

impl LocalApic {
    /// No controller: what stands in until boot has found it. What is written to it is lost.
    pub const NONE: Self = Self { registers: 0 };

    /// Turns it on, with the timer silent and everything else masked.
    fn init(self) {
        self.write(SPURIOUS, 0x100 | u32::from(SPURIOUS_VECTOR));
        self.write(TASK_PRIORITY, 0);
        for register in OTHER_LOCAL {
            self.write(register, MASKED);
        }
        // Divide by 1: the finest count.
        self.write(DIVIDE, 0b1011);
        self.write(TIMER, TIMER_VECTOR.into());
        self.set_timer(0);
    }

    /// Lets the timer interrupt after this number of its ticks; 0: not at all.
    #[inline]
    pub fn set_timer(self, ticks: u32) {
        self.write(INITIAL_COUNT, ticks);
    }

    /// Ticks until the timer interrupts.
    pub fn timer_left(self) -> u32 {
        self.read(CURRENT_COUNT)
    }

    /// The number by which the I/O APIC names this CPU.
    pub fn identity(self) -> u8 {
        (self.read(IDENTITY) >> 24) as u8
    }

    /// Says that the interrupt in service has been taken.
    pub fn end_of_interrupt(self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    /// Makes an interrupt with this vector, as a device that signals by message could.
    #[cfg(feature = "self-attack")]
    pub fn interrupt_itself(self, vector: u8) {
        const COMMAND: u64 = 0x300;
        const SELF: u32 = 1 << 18;
        self.write(COMMAND, SELF | u32::from(vector));
    }

    fn read(self, register: u64) -> u32 {
        if self.registers == 0 {
            return 0;
        }
        // SAFETY: as for `write`; reading these registers has no side effect.
        unsafe { ((self.registers + register) as *const u32).read_volatile() }
    }

    #[inline(never)]
    fn write(self, register: u64, value: u32) {
        if self.registers == 0 {
            return;
        }
        // SAFETY: `registers` is the page of the local APIC, mapped for good and used for nothing else; the
        // registers written here make interrupts, never writes to memory.
        unsafe { ((self.registers + register) as *mut u32).write_volatile(value) };
    }
}

/// The I/O APIC's register that says how many pins it has.
const VERSION: u32 = 1;

/// An I/O APIC.
#[derive(Clone, Copy)]
pub struct IoApic {
    registers: u64,
    /// The CPU to which it sends interrupts.
    target: u8,
}

impl IoApic {
    /// No controller, as [`LocalApic::NONE`].
    pub const NONE: Self = Self { registers: 0, target: 0 };

    /// Masks every pin that it has: firmware may have left some open.
    fn init(self) {
        for pin in 0..self.pins() {
            self.set_pin(pin, MASKED);
        }
    }

    /// Opens every pin, as firmware could have left them, with a vector of nobody's.
    #[cfg(feature = "self-attack")]
    fn open_all(self) {
        (0..self.pins()).for_each(|pin| self.set_pin(pin, SPURIOUS_VECTOR as u32 - 1));
    }

    /// Whether every pin is masked.
    #[cfg(feature = "self-attack")]
    pub fn is_masked(self) -> bool {
        (0..self.pins()).all(|pin| self.is_pin_masked(pin))
    }

    /// Whether a pin is masked.
    #[cfg(feature = "self-attack")]
    pub fn is_pin_masked(self, pin: u32) -> bool {
        self.read(0x10 + 2 * pin) & MASKED != 0
    }

    /// How many pins it has.
    fn pins(self) -> u32 {
        io_apic_pins(self.read(VERSION))
    }

    /// Lets a line interrupt, as `flags` of the plan say. A message is not the I/O APIC's business.
    pub fn unmask(self, line: u8, flags: u32) {
        let level = if flags & INTERRUPT_LEVEL != 0 { 1 << 15 } else { 0 };
        let low = if flags & INTERRUPT_ACTIVE_LOW != 0 { 1 << 13 } else { 0 };
        self.set(line, u32::from(FIRST_LINE_VECTOR + line) | level | low);
    }

    /// Keeps a line from interrupting.
    pub fn mask(self, line: u8) {
        self.set(line, MASKED);
    }

    fn set(self, line: u8, low: u32) {
        if usize::from(line) < MAX_INTERRUPT_LINES {
            self.set_pin(line.into(), low);
        }
    }

    /// Writes the redirection entry of a pin (Intel I/O APIC data sheet, section 3.2.4).
    fn set_pin(self, pin: u32, low: u32) {
        let register = 0x10 + 2 * pin;
        self.write(register + 1, u32::from(self.target) << 24);
        self.write(register, low);
    }

    fn read(self, register: u32) -> u32 {
        // SAFETY: as for `write`; reading these registers has no side effect.
        self.select(register).map_or(0, |window| unsafe { window.read_volatile() })
    }

    fn write(self, register: u32, value: u32) {
        if let Some(window) = self.select(register) {
            // SAFETY: as for the local APIC. The vectors and the destination are the kernel's own.
            unsafe { window.write_volatile(value) };
        }
    }

    /// Lets the window show a register. None if there is no controller.
    fn select(self, register: u32) -> Option<*mut u32> {
        if self.registers == 0 {
            return None;
        }
        // SAFETY: as for the local APIC: this only says which register is meant next.
        unsafe { (self.registers as *mut u32).write_volatile(register) };
        Some((self.registers + 0x10) as *mut u32)
    }
}

/// Starts the interrupt controllers that the tables name, which the kernel's address space maps: the CPU's, and the
/// one that has line 0. All others stay masked.
pub fn start(machine: &Machine, _space: &KernelSpace) -> (LocalApic, IoApic) {
    silence_old_controllers();
    let local_apic = LocalApic { registers: direct(machine.local_apic) };
    local_apic.init();
    let target = local_apic.identity();
    let at = |physical| IoApic { registers: direct(physical), target };
    let io_apic = at(machine.io_apic);
    #[cfg(feature = "self-attack")]
    io_apic.open_all();
    io_apic.init();
    machine.other_io_apics.iter().for_each(|other| at(*other).init());
    (local_apic, io_apic)
}

/// Silences the two old PICs, which power up with vectors that mean exceptions.
fn silence_old_controllers() {
    /// The four initialisation words for each (8259A data sheet): begin, vectors from 0x20 and 0x28, cascade,
    /// mode; then all lines masked.
    const WORDS: [(u16, u8); 10] = [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ];
    for (port, word) in WORDS {
        // SAFETY: the PICs' ports do nothing but this.
        unsafe { Port::new(port).write(word) };
    }
}
