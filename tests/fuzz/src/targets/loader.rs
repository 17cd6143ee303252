//! What the loader for UEFI finds, on its volume and with firmware, and what the image builder foretells of the same bytes.

use boot_efi::{Kernel, Listing, event_bytes, old_event_bytes, write_old_event};
use cloison_measure::firmware;

/// Where the kernel's memory can begin and end.
const MEMORY: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 32;
/// The most bytes of an event: its header, eight digests of the longest kind, its text.
const MOST: usize = 16 + 8 * 66 + (64 << 10);

/// Reads bytes as each of them.
pub fn run(bytes: &[u8]) {
    kernel(bytes);
    listing(bytes);
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    assert!(event_bytes(word).is_none_or(|length| (16..=MOST).contains(&length)));
    if let Some(event) = old_event_bytes(word).and_then(|length| bytes.get(..length)) {
        let mut written = Vec::new();
        write_old_event(&mut written, event);
        let told = event_bytes(|at| Some(u32::from_le_bytes(*written.get(at..)?.first_chunk()?)));
        assert_eq!(told, Some(written.len()));
    }
    if let Some(digests) = firmware::program(bytes) {
        assert_eq!(firmware::program(bytes), Some(digests));
    }
    if let Some(events) = firmware::bios(bytes) {
        assert!(bytes.len() >= 512 && events.count() >= 10);
    }
}

/// All that is loaded is in the file, and lies in its place by itself.
fn kernel(bytes: &[u8]) {
    let Ok(kernel) = Kernel::read(bytes) else { return };
    let (mut end, mut has_entry) = (*MEMORY.start(), false);
    for segment in kernel.segments() {
        assert!(segment.address >= end && segment.bytes.len() as u64 <= segment.memory_bytes);
        end = segment.address + segment.memory_bytes;
        let first = u64::from(kernel.entry).checked_sub(segment.address);
        has_entry |= first.is_some_and(|first| first < segment.bytes.len() as u64);
    }
    assert!(has_entry && kernel.memory.1 == end && MEMORY.contains(&end));
}

/// A list has its own lines in their order, and no others.
fn listing(bytes: &[u8]) {
    let mut listing = Listing::new(bytes);
    let lines = std::str::from_utf8(bytes).unwrap_or_default().lines();
    for line in lines {
        assert!(!listing.clone().is_next(&format!("{line}x")));
        assert!(listing.is_next(line));
    }
    assert!(!listing.is_next(""));
}
