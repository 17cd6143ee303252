//! What the boot loader says about memory.

use cloison_abi::limits::{KERNEL_BASE, PAGE_BYTES};
use heapless::Vec;
use multiboot2::{BootInformation, BootInformationHeader, MemoryAreaType};

/// A run of pages: numbers of the first one and of the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub end: u64,
}

impl Run {
    /// The pages that a range of bytes touches.
    pub fn around(start: u64, end: u64) -> Self {
        Self { first: start / PAGE_BYTES, end: end.div_ceil(PAGE_BYTES) }
    }

    /// The pages that lie in a range of bytes as a whole.
    fn within(start: u64, end: u64) -> Self {
        Self { first: start.div_ceil(PAGE_BYTES), end: end / PAGE_BYTES }
    }

    /// How many pages.
    pub fn pages(self) -> u64 {
        self.end.saturating_sub(self.first)
    }

    /// Whether two runs share a page.
    pub fn overlaps(self, other: Self) -> bool {
        self.first < other.end && other.first < self.end
    }
}

/// Runs of memory that are told apart; more than this many are left unused.
pub const MAX_RUNS: usize = 64;
/// Memory below this address is left alone: firmware and its tables live there.
const LOW_MEMORY_END: u64 = 0x10_0000;

/// What the kernel takes from the boot loader's information before it gives up the memory in which that lies.
pub struct BootFacts {
    /// Memory that exists, in use or not.
    pub memory: Vec<Run, MAX_RUNS>,
    /// Where the system image lies: first byte and the one after the last.
    pub image: Option<(u64, u64)>,
    /// Address of the ACPI root pointer.
    pub acpi_root: Option<usize>,
}

/// Reads the boot loader's information.
pub fn read_boot_facts(information: u64) -> BootFacts {
    let nothing = BootFacts { memory: Vec::new(), image: None, acpi_root: None };
    let header = (KERNEL_BASE + information) as *const BootInformationHeader;
    // SAFETY: the boot code checked the loader's magic number, so this is the address of Multiboot2
    // information; the boot tables map the first 4 GiB, and nothing writes there before this function is
    // done.
    let Ok(information) = (unsafe { BootInformation::load(header) }) else { return nothing };
    let mut memory = Vec::new();
    for area in information.memory_map_tag().map_or(&[][..], |tag| tag.memory_areas()) {
        let run = Run::within(area.start_address().max(LOW_MEMORY_END), area.end_address());
        if area.typ() == MemoryAreaType::Available && run.pages() > 0 {
            add_run(&mut memory, run);
        }
    }
    let image = information.module_tags().next();
    let image = image.map(|tag| (tag.start_address().into(), tag.end_address().into()));
    let version_2 = information.rsdp_v2_tag().map(|tag| core::ptr::from_ref(tag) as usize);
    let version_1 = information.rsdp_v1_tag().map(|tag| core::ptr::from_ref(tag) as usize);
    // The root pointer follows the tag's own header of 8 bytes (Multiboot2 specification, section 3.6.11).
    let acpi_root = version_2.or(version_1).map(|tag| tag + 8 - KERNEL_BASE as usize);
    BootFacts { memory, image, acpi_root }
}

/// Adds a run, joined to the last one if it goes on where that ends, as the many small areas of UEFI machines
/// do.
fn add_run(memory: &mut Vec<Run, MAX_RUNS>, run: Run) {
    match memory.last_mut() {
        Some(last) if last.end == run.first => last.end = run.end,
        // More runs than there is room for: the rest of the memory is not used.
        _ => {
            let _ = memory.push(run);
        }
    }
}

/// Memory that nobody uses yet.
pub struct FreeMemory {
    runs: Vec<Run, MAX_RUNS>,
}

impl FreeMemory {
    /// All memory but what is in use.
    pub fn new(memory: &[Run], used: &[Run]) -> Self {
        let mut runs = Vec::new();
        for run in memory {
            let mut first = run.first;
            while first < run.end {
                let taken = |page| used.iter().find(|run| run.first <= page && page < run.end);
                if let Some(taken) = taken(first) {
                    first = taken.end;
                    continue;
                }
                let next = used.iter().map(|run| run.first).filter(|start| *start > first).min();
                let end = run.end.min(next.unwrap_or(run.end));
                // As above: without room, memory is left unused.
                let _ = runs.push(Run { first, end });
                first = end;
            }
        }
        Self { runs }
    }

    /// Takes pages from the end of the last run that has as many within the first 4 GiB, which the boot
    /// tables map. Returns the number of the first one.
    pub fn take(&mut self, pages: u64) -> Option<u64> {
        const MAPPED: u64 = (4 << 30) / PAGE_BYTES;
        let fits = |run: &&mut Run| run.pages() >= pages && run.end <= MAPPED;
        let run = self.runs.iter_mut().rev().find(fits)?;
        run.end -= pages;
        Some(run.end)
    }

    /// What is left.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }
}
