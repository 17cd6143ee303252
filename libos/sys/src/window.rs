//! The builder's view of what it builds from, and of what it builds.
#![allow(unsafe_code, reason = "memory that was mapped by call becomes bytes to read and write")]

use cloison_abi::{
    CallError, Rights,
    image::ImageHeader,
    limits::{BUILDER_WINDOW_ADDRESS, BUILDER_WINDOW_BYTES, PAGE_BYTES},
};

use crate::{Slot, region_map, region_unmap};

/// The system image, at the address with which the kernel starts the builder; `None` if there is none.
#[must_use]
pub fn image(address: u64) -> Option<&'static [u8]> {
    let header = core::ptr::with_exposed_provenance::<ImageHeader>(usize::try_from(address).ok()?);
    if address == 0 || !header.is_aligned() {
        return None;
    }
    // SAFETY: the kernel starts the builder, and nobody else, with the address at which it has mapped the
    // image, for reading and for good, after checking that the image is as long as its header says.
    unsafe {
        let bytes = usize::try_from((*header).image_bytes).ok()?;
        Some(core::slice::from_raw_parts(header.cast(), bytes))
    }
}

/// Copies bytes into a region that this domain holds, by way of a window of its address space.
///
/// # Errors
/// The errors of [`region_map`]; [`CallError::BadArgument`] if the bytes do not fit into the region.
pub fn write(region: Slot, offset: u64, bytes: &[u8]) -> Result<(), CallError> {
    let mut at = offset;
    for chunk in bytes.chunks((BUILDER_WINDOW_BYTES - PAGE_BYTES) as usize) {
        through(region, at, chunk.len() as u64, |target| {
            // SAFETY: `through` passes the address of as many mapped bytes as the chunk has, which nothing
            // else refers to.
            unsafe { core::ptr::copy_nonoverlapping(chunk.as_ptr(), target, chunk.len()) }
        })?;
        at += chunk.len() as u64;
    }
    Ok(())
}

/// Copies bytes out of a region that this domain holds.
///
/// # Errors
/// As for [`write`].
pub fn read(region: Slot, offset: u64, bytes: &mut [u8]) -> Result<(), CallError> {
    let mut at = offset;
    for chunk in bytes.chunks_mut((BUILDER_WINDOW_BYTES - PAGE_BYTES) as usize) {
        through(region, at, chunk.len() as u64, |source| {
            // SAFETY: as in `write`.
            unsafe { core::ptr::copy_nonoverlapping(source, chunk.as_mut_ptr(), chunk.len()) }
        })?;
        at += chunk.len() as u64;
    }
    Ok(())
}

/// Fills a region that this domain holds with zeros.
///
/// # Errors
/// As for [`write`].
pub fn clear(region: Slot) -> Result<(), CallError> {
    let pages = crate::region_info(region)?.pages;
    let mut at = 0;
    while at < pages * PAGE_BYTES {
        let length = (pages * PAGE_BYTES - at).min(BUILDER_WINDOW_BYTES);
        // SAFETY: as in `write`.
        through(region, at, length, |target| unsafe { target.write_bytes(0, length as usize) })?;
        at += length;
    }
    Ok(())
}

/// Maps the pages around `length` bytes at `offset`, passes the address of the first byte to `action`, and
/// unmaps them.
fn through(region: Slot, offset: u64, length: u64, action: impl FnOnce(*mut u8)) -> Result<(), CallError> {
    let first = offset / PAGE_BYTES;
    let end = offset.checked_add(length).ok_or(CallError::BadArgument)?.div_ceil(PAGE_BYTES);
    if first == end {
        return Ok(());
    }
    region_map(region, BUILDER_WINDOW_ADDRESS, first, end - first, Rights::READ | Rights::WRITE)?;
    action((BUILDER_WINDOW_ADDRESS + offset % PAGE_BYTES) as *mut u8);
    // SAFETY: the pointer into the window ended with `action`.
    unsafe { region_unmap(BUILDER_WINDOW_ADDRESS) }
}
