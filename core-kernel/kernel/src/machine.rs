//! What the kernel has found of the machine.

use cloison_abi::CallError;
use cloison_rules::memory::{self, MAX_RUNS, Run};
use heapless::Vec;

use crate::arch::{
    acpi::MAX_IO_APICS,
    apic::{IoApic, LocalApic},
    time::Timer,
};

/// The machine.
pub struct Machine {
    /// The interrupt controller of the CPU.
    pub local_apic: LocalApic,
    /// The interrupt controller of the devices.
    pub io_apic: IoApic,
    /// Others like it, of which every pin stays masked.
    pub other_io_apics: Vec<IoApic, MAX_IO_APICS>,
    /// The alarm clock.
    pub timer: Timer,
    /// Ticks of the time-stamp counter that a wait with a deadline takes at least.
    pub shortest_wait: u64,
    /// Ticks of the time-stamp counter in which a line may interrupt only so often.
    pub flood_window: u64,
    /// Physical address of the kernel's own root page table, the pattern for all others.
    pub kernel_root: u64,
    /// Memory; device regions lie elsewhere.
    pub memory: Vec<Run, MAX_RUNS>,
    /// Where the system image lies, which need not be in that memory.
    pub image: Run,
    /// Port by which an emulator's run ends, or 0.
    pub exit_port: u16,
    /// The time-stamp counter at the kernel's entry, and when the first domain started.
    pub entered: u64,
    pub started: u64,
    /// The builder's own pages, which are scrubbed when it ends.
    pub builder_pages: Vec<Run, { cloison_abi::image::BUILDER_SEGMENTS }>,
}

impl Machine {
    /// No machine, all zeros.
    pub const NONE: Self = Self {
        local_apic: LocalApic::NONE,
        io_apic: IoApic::NONE,
        other_io_apics: Vec::new(),
        timer: Timer::NONE,
        shortest_wait: 0,
        flood_window: 0,
        kernel_root: 0,
        memory: Vec::new(),
        image: Run::NONE,
        exit_port: 0,
        entered: 0,
        started: 0,
        builder_pages: Vec::new(),
    };

    /// Checks that pages can be those of a device that a domain drives.
    ///
    /// # Errors
    /// [`CallError::BadArgument`].
    pub fn check_device(&self, pages: Run) -> Result<(), CallError> {
        let others = [self.image, self.local_apic.page(), self.io_apic.page()];
        let more = self.other_io_apics.iter().map(|other| other.page());
        memory::check_device(pages, self.memory.iter().copied().chain(others).chain(more))
    }
}
