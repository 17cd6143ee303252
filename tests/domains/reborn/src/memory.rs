//! This domain's memory, looked at and spoilt as a whole.
#![allow(unsafe_code, reason = "memory is read and written by its addresses")]

use core::sync::atomic::{AtomicU64, Ordering};

use cloison_abi::limits::PAGE_BYTES;
use cloison_rt::sys::info;
use keeper_api::digest;

/// As `stack_kib` in `domain.toml`.
const STACK_BYTES: u64 = 16 * 1024;
/// Words that each life spoils: some that begin as zero, one that does not.
static ZEROS: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];
static MARK: AtomicU64 = AtomicU64::new(0x5eed);

/// The runs of words that this domain can write to and has not yet used: its own region, the heap, the far end
/// of the stack.
fn runs(place: u64, pages: u64) -> [(u64, u64); 3] {
    let (heap, bytes) = info::get().heap();
    let here = 0_u8;
    let stack_end = ((&raw const here) as u64).next_multiple_of(PAGE_BYTES);
    // The allocator has written to the first words of the heap.
    [(place, pages * PAGE_BYTES), (heap + 64, bytes - 64), (stack_end - STACK_BYTES, PAGE_BYTES)]
}

pub(crate) fn digest(place: u64, pages: u64) -> u64 {
    let statics = ZEROS.iter().chain([&MARK]).map(|word| word.load(Ordering::Relaxed));
    let all = statics.fold(digest::START, digest::add);
    runs(place, pages).into_iter().fold(all, |all, (start, bytes)| {
        (start..start + bytes).step_by(8).fold(all, |all, address| {
            let word = core::ptr::with_exposed_provenance::<u64>(address as usize);
            // SAFETY: it lies in memory that is mapped for reading, and nothing writes there meanwhile.
            digest::add(all, unsafe { word.read_volatile() })
        })
    })
}

/// Writes over all of it.
pub(crate) fn spoil(place: u64, pages: u64) {
    for word in ZEROS.iter().chain([&MARK]) {
        word.store(0xbad, Ordering::Relaxed);
    }
    for (start, bytes) in runs(place, pages) {
        for address in (start..start + bytes).step_by(8) {
            let word = core::ptr::with_exposed_provenance_mut::<u64>(address as usize);
            // SAFETY: it lies in memory that is mapped for writing. Nothing is on the heap, the far end of the
            // stack is not in use, and the region holds nothing.
            unsafe { word.write_volatile(0xbad) };
        }
    }
}

pub(crate) fn fault() -> ! {
    // SAFETY: nothing is mapped at this address, so the read faults.
    unsafe { core::ptr::without_provenance::<u8>(8).read_volatile() };
    unreachable!("address 8 was read")
}
