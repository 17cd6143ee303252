//! What the boot loader says about memory.

use cloison_abi::limits::KERNEL_BASE;
use cloison_rules::memory::{MAX_RUNS, Run, add_run};
use heapless::Vec;
use multiboot2::{BootInformation, BootInformationHeader, MemoryAreaType};

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
        let run = Run::usable(area.start_address(), area.end_address());
        if let Some(run) = run.filter(|_| area.typ() == MemoryAreaType::Available) {
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
