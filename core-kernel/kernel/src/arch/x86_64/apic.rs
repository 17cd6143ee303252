//! Interrupt controllers: the local APIC with its timer, the I/O APIC, and the old PICs, which are silenced.

use cloison_abi::limits::MAX_INTERRUPTS;
use cloison_rules::{
    interrupts::{Line, io_apic_pins},
    refs::InterruptId,
};
use x86_64::instructions::port::Port;

use super::{acpi::Found, physical::direct};
use crate::arch::space::KernelSpace;

/// Vector of the first interrupt of the kernel's table; the others follow.
pub const FIRST_VECTOR: u8 = 32;
/// Vector of the timer.
pub const TIMER_VECTOR: u8 = FIRST_VECTOR + MAX_INTERRUPTS as u8;
/// Vector of which a device tells that has made it up: it stands for all from here on that are nobody's.
pub const STRAY_VECTOR: u8 = TIMER_VECTOR + 1;
/// Vector of interrupts that were withdrawn while on their way. Its low four bits have to be ones on old CPUs. A device
/// can send it too, and would hold back all others if that interrupt got no end: its class of 16 is the highest.
pub const SPURIOUS_VECTOR: u8 = 0xff;

const _: () = assert!(STRAY_VECTOR / 16 < SPURIOUS_VECTOR / 16);

/// The vector of an interrupt.
fn vector(id: InterruptId) -> u32 {
    u32::from(FIRST_VECTOR) + id.index() as u32
}

/// What a device writes, and where, for an interrupt that is signalled by message to the CPU `target`. Intel SDM
/// volume 3, section 11.11: fixed delivery, edge triggered.
pub fn message(id: InterruptId, target: u8) -> (u64, u32) {
    (0xfee0_0000 | u64::from(target) << 12, vector(id))
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

    /// Whether it has a line of this number.
    pub fn has(self, line: u8) -> bool {
        u32::from(line) < self.pins()
    }

    /// Lets a line that it has interrupt, with the vector of `id`.
    pub fn unmask(self, line: Line, id: InterruptId) {
        let (level, low) = (u32::from(line.is_level()) << 15, u32::from(line.is_active_low()) << 13);
        self.set_pin(line.number().into(), vector(id) | level | low);
    }

    /// Keeps a line that it has from interrupting.
    pub fn mask(self, line: Line) {
        self.set_pin(line.number().into(), MASKED);
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
pub fn start(found: &Found, _space: &KernelSpace) -> (LocalApic, IoApic) {
    silence_old_controllers();
    let local_apic = LocalApic { registers: direct(found.local_apic) };
    local_apic.init();
    let target = local_apic.identity();
    let at = |physical| IoApic { registers: direct(physical), target };
    let io_apic = at(found.io_apic);
    #[cfg(feature = "self-attack")]
    io_apic.open_all();
    io_apic.init();
    found.other_io_apics.iter().for_each(|other| at(*other).init());
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
