//! What the kernel has found of the machine.

use heapless::Vec;

use crate::arch::{
    apic::{IoApic, LocalApic},
    frames::ImagePart,
    serial::ExitPort,
    space::KernelSpace,
    time::Timer,
};

/// The machine.
pub struct Machine {
    /// The interrupt controller of the CPU.
    pub local_apic: LocalApic,
    /// The interrupt controller of the devices.
    pub io_apic: IoApic,
    /// The alarm clock.
    pub timer: Timer,
    /// Ticks of the time-stamp counter that a wait with a deadline takes at least.
    pub shortest_wait: u64,
    /// Ticks of the time-stamp counter in which a line may interrupt only so often.
    pub flood_window: u64,
    /// The kernel's own address space, the pattern for all others.
    pub space: KernelSpace,
    /// The port by which an emulator's run ends.
    pub exit: ExitPort,
    /// The time-stamp counter at the kernel's entry, and when the first domain started.
    pub entered: u64,
    pub started: u64,
    /// The builder's own pages, which are scrubbed when it ends.
    pub builder_pages: Vec<ImagePart, { cloison_abi::image::BUILDER_SEGMENTS }>,
}

impl Machine {
    /// No machine, all zeros.
    pub const NONE: Self = Self {
        local_apic: LocalApic::NONE,
        io_apic: IoApic::NONE,
        timer: Timer::NONE,
        shortest_wait: 0,
        flood_window: 0,
        space: KernelSpace::NONE,
        exit: ExitPort::NONE,
        entered: 0,
        started: 0,
        builder_pages: Vec::new(),
    };
}
