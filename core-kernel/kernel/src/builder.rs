//! The one domain that the kernel builds: the builder, from the header of the system image.

use cloison_abi::{
    CallError, Name, ObjectKind, Rights,
    call::{
        BUILDER_MEMORY_SLOTS, BUILDER_SLOT_CENSUS, BUILDER_SLOT_CONFIGURATION_SPACE, BUILDER_SLOT_LOG,
        BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT, BUILDER_SLOT_SHUTDOWN,
    },
    image::ImageHeader,
    limits::PRIORITIES,
    plan::FaultPolicy,
};
use cloison_rules::{
    DomainAddress, DomainId, budget::Budget, capability::Capability, image::segments, memory::Run,
};

use crate::{
    arch::{frames::FreeMemory, memory::SystemImage},
    state::Kernel,
};

/// Builds the builder and makes it ready to run.
///
/// # Errors
/// As those of the tables that it fills; none is to be expected from an image that [`cloison_rules::image::check`] has passed, but
/// for too little memory.
pub fn build(
    kernel: &mut Kernel,
    header: &ImageHeader,
    image: &SystemImage,
    mut free: FreeMemory,
    [log, configuration_space]: [Run; 2],
) -> Result<(), CallError> {
    let quota = free.take(header.builder_quota_pages.into()).ok_or(CallError::QuotaExceeded)?;
    let builder = kernel.add_domain(Name::new("builder").unwrap_or_default())?;
    kernel.give_space(builder.id, quota.zeroed());
    map_segments(kernel, header, image)?;
    give_rights(kernel, free)?;
    give_found(kernel, log, (BUILDER_SLOT_LOG, Rights::READ))?;
    let read_write = Rights::READ | Rights::WRITE;
    give_found(kernel, configuration_space, (BUILDER_SLOT_CONFIGURATION_SPACE, read_write))?;
    // Nobody could restart it, and without it nothing starts.
    kernel.domain_mut(builder.id).on_fault = FaultPolicy::Halt;
    let thread = kernel.thread(builder.id)?;
    let [entry, stack] = [header.builder_entry, header.builder_stack].map(DomainAddress::new);
    let (Some(entry), Some(stack)) = (entry, stack) else { return Err(CallError::BadArgument) };
    kernel.context_mut(thread).start(entry, stack, header.builder_image_address);
    kernel.threads.configure(thread, PRIORITIES as u8 - 1, Budget::NONE);
    kernel.threads.start(thread)
}

/// Maps the builder's segments, and the whole image for it to read, where they lie in memory.
fn map_segments(kernel: &mut Kernel, header: &ImageHeader, image: &SystemImage) -> Result<(), CallError> {
    for segment in segments(header) {
        let part = image.part(&segment).ok_or(CallError::BadArgument)?;
        kernel.domain_mut(DomainId::BUILDER).space.map_image(&part)?;
        if part.rights().contains(Rights::WRITE) {
            // There is room for every segment.
            let _ = kernel.machine.builder_pages.push(part);
        }
    }
    Ok(())
}

/// Gives the builder all rights that there are, and all memory that is free: the largest runs of it.
fn give_rights(kernel: &mut Kernel, mut free: FreeMemory) -> Result<(), CallError> {
    let rights = Rights::READ | Rights::WRITE | Rights::EXECUTE | Rights::GRANT | Rights::BUILD | Rights::DMA;
    for number in 0..BUILDER_MEMORY_SLOTS {
        let Some(frames) = free.take_largest() else { break };
        let region = kernel.regions.add_memory(frames)?;
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

/// Lets the builder have what was found at boot. What lies where memory is given out, or on what it has got before, is not
/// what it is said to be: the slot stays empty.
fn give_found(kernel: &mut Kernel, run: Run, (slot, access): (u8, Rights)) -> Result<(), CallError> {
    let frames = kernel.machine.space.device(run);
    let Ok(region) = frames.and_then(|frames| kernel.regions.add_device(frames)) else { return Ok(()) };
    let rights = access | Rights::GRANT | Rights::BUILD;
    builder_slots(kernel).fill(slot.into(), Capability::own_region(region, rights))
}

fn builder_slots(kernel: &mut Kernel) -> &mut cloison_rules::capability::SlotTable {
    kernel.slots_mut(DomainId::BUILDER)
}
