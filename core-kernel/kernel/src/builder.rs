//! The one domain that the kernel builds: the builder, from the header of the system image.

use cloison_abi::{
    ABI_VERSION, CallError, Name, ObjectKind, Rights,
    call::{
        BUILDER_MEMORY_SLOTS, BUILDER_SLOT_CENSUS, BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT,
        BUILDER_SLOT_SHUTDOWN,
    },
    image::{BUILDER_SEGMENTS, BuilderSegment, IMAGE_MAGIC, ImageHeader},
    limits::{DOMAIN_END, PAGE_BYTES, PRIORITIES},
    plan::FaultPolicy,
};
use cloison_rules::{
    budget::Budget,
    capability::Capability,
    memory::{FreeMemory, Run},
    region::Backing,
};

use crate::{
    arch::paging::{AddressSpace, page_checksum, zero_pages},
    kernel::Kernel,
};

/// Why an image is not one that this kernel starts.
pub enum BadImage {
    /// There is none.
    Missing,
    /// It does not begin as an image does.
    NoImage,
    /// It was made for another version of the contract.
    Version(u32),
    /// It is shorter or longer than it says: how long it is, and should be.
    Length(u64, u64),
    /// A part of it lies where it cannot: which.
    Layout(&'static str),
    /// Its header or the builder has changed: the checksum that it states, and the one that it has.
    Checksum(u64, u64),
}

impl core::fmt::Display for BadImage {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Missing => write!(out, "the boot loader loaded no system image beside the kernel"),
            Self::NoImage => write!(out, "the system image does not begin as one"),
            Self::Version(found) => {
                write!(out, "the system image has ABI version {found}, this kernel {ABI_VERSION}")
            }
            Self::Length(found, stated) => {
                write!(out, "the system image is {found} bytes long and should be {stated}")
            }
            Self::Layout(what) => write!(out, "the system image is damaged: {what}"),
            Self::Checksum(stated, found) => write!(
                out,
                "the system image is damaged: header and builder have the checksum {found:016x} and should \
                 have {stated:016x}"
            ),
        }
    }
}

/// Checks what the kernel uses of an image's header. `length` is that of the image in memory.
pub fn check(header: &ImageHeader, length: u64) -> Result<(), BadImage> {
    if header.magic != IMAGE_MAGIC {
        return Err(BadImage::NoImage);
    }
    if header.abi_version != ABI_VERSION {
        return Err(BadImage::Version(header.abi_version));
    }
    if header.image_bytes != length || !length.is_multiple_of(PAGE_BYTES) {
        return Err(BadImage::Length(length, header.image_bytes));
    }
    let plan_end = header.plan_offset.checked_add(header.plan_bytes);
    if plan_end.is_none_or(|end| end > length) {
        return Err(BadImage::Layout("the plan is not all there"));
    }
    let (count, program) = (header.builder_segment_count, header.builder_program_segments);
    let segments = header.builder_segments.get(..count as usize).filter(|_| program <= count);
    let segments = segments.ok_or(BadImage::Layout("the builder has too many segments"))?;
    if segments.iter().any(|segment| !fits(segment, length)) {
        return Err(BadImage::Layout("a segment of the builder is out of place"));
    }
    let image = BuilderSegment {
        address: header.builder_image_address,
        image_offset: 0,
        pages: (length / PAGE_BYTES) as u32,
        rights: 1,
    };
    let stack = header.builder_stack.is_multiple_of(16) && header.builder_stack < DOMAIN_END;
    if !fits(&image, length) || !stack || header.builder_entry >= DOMAIN_END {
        return Err(BadImage::Layout("the builder's entry, stack or view of the image is out of place"));
    }
    Ok(())
}

/// Checks that header and builder are as the image builder wrote them. [`check`] has passed, so the segments lie
/// in the image.
pub fn check_builder(header: &ImageHeader, image: Run) -> Result<(), BadImage> {
    let segments = header.builder_segments.iter().take(header.builder_program_segments as usize);
    let found = segments.fold(header.own_checksum(), |sum, segment| {
        let first = image.first + segment.image_offset / PAGE_BYTES;
        (first..first + u64::from(segment.pages)).fold(sum, page_checksum)
    });
    let stated = header.builder_checksum;
    if found == stated { Ok(()) } else { Err(BadImage::Checksum(stated, found)) }
}

fn fits(segment: &BuilderSegment, length: u64) -> bool {
    let bytes = u64::from(segment.pages) * PAGE_BYTES;
    let rights = Rights::from_bits(segment.rights);
    let aligned =
        segment.address.is_multiple_of(PAGE_BYTES) && segment.image_offset.is_multiple_of(PAGE_BYTES);
    let inside = segment.image_offset.checked_add(bytes).is_some_and(|end| end <= length);
    let mapped = segment.address.checked_add(bytes).is_some_and(|end| end <= DOMAIN_END);
    let never_both = rights.is_some_and(|rights| !rights.contains(Rights::WRITE | Rights::EXECUTE));
    aligned && inside && mapped && never_both && segment.address >= PAGE_BYTES
}

/// Builds the builder and makes it ready to run.
///
/// # Errors
/// As those of the tables that it fills; none is to be expected from an image that [`check`] has passed, but
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
    kernel.context_mut(builder.id).start(
        header.builder_entry,
        header.builder_stack,
        header.builder_image_address,
    );
    kernel.tasks.configure(builder.id, PRIORITIES as u8 - 1, Budget::NONE);
    kernel.tasks.start(builder.id)
}

/// Maps the builder's segments, and the whole image for it to read, where they lie in memory.
fn map_segments(kernel: &mut Kernel, header: &ImageHeader, image: Run) -> Result<(), CallError> {
    let count = (header.builder_segment_count as usize).min(BUILDER_SEGMENTS);
    let whole = BuilderSegment {
        address: header.builder_image_address,
        image_offset: 0,
        pages: image.pages() as u32,
        rights: Rights::READ.bits(),
    };
    for segment in header.builder_segments[..count].iter().chain(core::iter::once(&whole)) {
        let first = image.first + segment.image_offset / PAGE_BYTES;
        let rights = Rights::from_bits_truncate(segment.rights);
        let space = &mut kernel.domain_mut(cloison_rules::DomainId::BUILDER).space;
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
    kernel.slots_mut(cloison_rules::DomainId::BUILDER)
}
