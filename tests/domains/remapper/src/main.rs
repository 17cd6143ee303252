//! Remapper: maps memory, also twice at one time, drops it, maps it again, and at last reaches for what it has dropped.

#![no_std]
#![no_main]

use cloison_abi::{CallError, limits::PAGE_BYTES};
use cloison_rt::{
    log,
    sys::{
        Slot, census_read, figures, info,
        mapped::{MappedRegion, is_free},
    },
};

cloison_rt::entry!(main);

/// More often than the window has room for, or the domain for mappings, if one of them stayed.
const ROUNDS: u32 = 1000;

fn main() -> Result<(), CallError> {
    let slot = |name| info::get().slot::<info::Region>(name).ok_or(CallError::BadSlot);
    let (plot, other) = (slot("plot")?, slot("other")?);
    attach_twice(plot)?;
    let first = MappedRegion::writable(plot)?;
    let address = first.address();
    let is_written = first.write(0, b"kept");
    log!("mapped: its pages are free: {}", are_free(other, address)?);
    drop(first);
    log!("dropped: its pages are free: {}", are_free(other, address)?);
    let mut is_same = is_written;
    for _ in 0..ROUNDS {
        let again = MappedRegion::read_only(plot)?;
        let mut text = [0; 4];
        is_same &= again.address() == address && again.read(0, &mut text) && text == *b"kept";
    }
    log!("mapped again at the same place, with what was there: {is_same}");
    touch(address);
    log!("still here");
    Ok(())
}

/// Maps a region at two places, and counts its mappings as the kernel does.
fn attach_twice(plot: Slot) -> Result<(), CallError> {
    let census = info::get().slot::<info::Right>("census-right").ok_or(CallError::BadSlot)?;
    let own = own_index(census)?;
    let count = || figures(census, own).map(|now| now.mappings);
    let before = count()?;
    let (first, second) = (MappedRegion::writable(plot)?, MappedRegion::read_only(plot)?);
    let is_one = first.write(0, b"twin") && reads(&second, *b"twin");
    let places = if first.address() == second.address() { 1 } else { 2 };
    log!("attached at {places} places: {} mappings, of the same memory: {is_one}", count()? - before);
    drop(first);
    log!("one is dropped: {} mapping, which still reads: {}", count()? - before, reads(&second, *b"twin"));
    drop(second);
    log!("both are dropped: {} mappings", count()? - before);
    Ok(())
}

fn reads(region: &MappedRegion, text: [u8; 4]) -> bool {
    let mut found = [0; 4];
    region.read(0, &mut found) && found == text
}

/// This domain's index in the census.
fn own_index(census: Slot) -> Result<u8, CallError> {
    let mut cursor = 0;
    while let Some((entry, next)) = census_read(census, cursor)? {
        if entry.domain.as_str() == "remapper" {
            return Ok(entry.index);
        }
        cursor = next;
    }
    Err(CallError::BadArgument)
}

/// Whether all pages of the plot are free, or none: anything else is an error.
fn are_free(other: Slot, address: u64) -> Result<bool, CallError> {
    let mut pages = (0..3).map(|page| is_free(other, address + page * PAGE_BYTES));
    let first = pages.next().unwrap_or(Ok(false))?;
    if pages.all(|page| page == Ok(first)) { Ok(first) } else { Err(CallError::Overlap) }
}

#[allow(unsafe_code, reason = "it faults on purpose: no reference into a region outlives it")]
fn touch(address: u64) {
    // SAFETY: nothing is mapped at this address any more, so the read faults.
    unsafe { core::ptr::without_provenance::<u8>(address as usize).read_volatile() };
}
