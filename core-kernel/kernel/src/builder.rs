//! The one domain that the kernel builds: the builder, from the header of the system image.

use cloison_abi::{
    CallError, Name, ObjectKind, Rights,
    call::{
        BUILDER_MEMORY_SLOTS, BUILDER_SLOT_CENSUS, BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT,
        BUILDER_SLOT_SHUTDOWN,
    },
    image::ImageHeader,
    limits::{PAGE_BYTES, PRIORITIES},
    plan::FaultPolicy,
};
use cloison_rules::{
    DomainId,
    budget::Budget,
    capability::Capability,
    image::segments,
    memory::{FreeMemory, Run},
    region::Backing,
};

use crate::{
    arch::paging::{AddressSpace, zero_pages},
    kernel::Kernel,
};

/// Builds the builder and makes it ready to run.
///
/// # Errors
/// As those of the tables that it fills; none is to be expected from an image that [`cloison_rules::image::check`] has passed, but
/// for too little memory.
pub fn build(
    kernel: &mut Kernel,
    header: &ImageHeader,
    image: Run,
    mut free: FreeMemory,
) -> Result<(), CallError> {
    let quota_pages = u64::from(header.builder_quota_pages);
    let quota = free.take(quota_pages).ok_or(CallError::QuotaExceeded)?;
    zero_pages(quota, quota_pages);
    let space = AddressSpace::new(quota, quota_pages, kernel.machine.kernel_root)?;
    let builder = kernel.add_domain(Name::new("builder").unwrap_or_default(), space)?;
    map_segments(kernel, header, image)?;
    give_rights(kernel, free)?;
    // Nobody could restart it, and without it nothing starts.
    kernel.domain_mut(builder.id).on_fault = FaultPolicy::Halt;
    let thread = kernel.thread(builder.id)?;
    kernel.context_mut(thread).start(
        header.builder_entry,
        header.builder_stack,
        header.builder_image_address,
    );
    kernel.threads.configure(thread, PRIORITIES as u8 - 1, Budget::NONE);
    kernel.threads.start(thread)
}

/// Maps the builder's segments, and the whole image for it to read, where they lie in memory.
fn map_segments(kernel: &mut Kernel, header: &ImageHeader, image: Run) -> Result<(), CallError> {
    for segment in segments(header) {
        let first = image.first + segment.image_offset / PAGE_BYTES;
        let rights = Rights::from_bits_truncate(segment.rights);
        let space = &mut kernel.domain_mut(DomainId::BUILDER).space;
        for page in 0..u64::from(segment.pages) {
            space.map(segment.address + page * PAGE_BYTES, first + page, rights, false)?;
        }
        if rights.contains(Rights::WRITE) {
            let run = Run { first, end: first + u64::from(segment.pages) };
            // There is room for every segment.
            let _ = kernel.machine.builder_pages.push(run);
        }
    }
    Ok(())
}

/// Gives the builder all rights that there are, and all memory that is free: the largest runs of it.
fn give_rights(kernel: &mut Kernel, mut free: FreeMemory) -> Result<(), CallError> {
    let rights = Rights::READ | Rights::WRITE | Rights::EXECUTE | Rights::GRANT | Rights::BUILD | Rights::DMA;
    for number in 0..BUILDER_MEMORY_SLOTS {
        let Some(run) = free.take_largest() else { break };
        let region = kernel.regions.add(run.first, run.pages() as u32, Backing::Memory { zeroed: 0 })?;
        let slot = u64::from(BUILDER_SLOT_MEMORY) + u64::from(number);
        builder_slots(kernel).fill(slot, Capability::own_region(region, rights))?;
    }
    for (slot, kind) in [
        (BUILDER_SLOT_RIGHT, ObjectKind::BuilderRight),
        (BUILDER_SLOT_CENSUS, ObjectKind::CensusRight),
        (BUILDER_SLOT_SHUTDOWN, ObjectKind::ShutdownRight),
    ] {
        builder_slots(kernel).fill(slot.into(), Capability::Right(kind))?;
    }
    Ok(())
}

fn builder_slots(kernel: &mut Kernel) -> &mut cloison_rules::capability::SlotTable {
    kernel.slots_mut(DomainId::BUILDER)
}
