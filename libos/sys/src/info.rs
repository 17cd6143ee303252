//! The information page: what this domain was given.
#![allow(unsafe_code, reason = "the page lies at a fixed address")]

use cloison_abi::{
    Badge, Name,
    info::{INFO_MAGIC, InfoEntry, InfoHeader, InfoKind, MAX_INFO_ENTRIES},
    limits::INFO_ADDRESS,
    plan::NONE,
};

use crate::Slot;

/// This domain's information page.
#[derive(Clone, Copy)]
pub struct Info {
    header: &'static InfoHeader,
    entries: &'static [InfoEntry],
}

/// The information page of this domain.
#[must_use]
pub fn get() -> Info {
    // SAFETY: every domain is started with this page mapped for reading, for as long as it lives; the header
    // is at its start, the page is aligned, and any bytes make a valid header and valid entries. The number
    // of entries is bounded by what fits into the page.
    unsafe {
        let header = &*(INFO_ADDRESS as *const InfoHeader);
        let count = if header.magic == INFO_MAGIC { header.entry_count as usize } else { 0 };
        let first = (header as *const InfoHeader).add(1).cast::<InfoEntry>();
        Info { header, entries: core::slice::from_raw_parts(first, count.min(MAX_INFO_ENTRIES)) }
    }
}

impl Info {
    /// Name of this domain.
    #[must_use]
    pub fn domain(&self) -> &'static str {
        self.header.domain.as_str()
    }

    /// Name of the system that this domain is part of.
    #[must_use]
    pub fn system(&self) -> &'static str {
        self.header.system.as_str()
    }

    /// SHA-256 of the system's manifest.
    #[must_use]
    pub fn manifest(&self) -> &'static [u8; 32] {
        &self.header.manifest
    }

    /// Version of the contract for which the page was written.
    #[must_use]
    pub fn abi_version(&self) -> u32 {
        self.header.abi_version
    }

    /// Address and length in bytes of the heap.
    #[must_use]
    pub fn heap(&self) -> (u64, u64) {
        (self.header.heap_address, self.header.heap_bytes)
    }

    /// The entry of a kind and name.
    #[must_use]
    pub fn find(&self, kind: InfoKind, name: &str) -> Option<&'static InfoEntry> {
        let name = Name::new(name)?;
        self.entries.iter().find(|entry| entry.kind == kind as u32 && entry.name == name)
    }

    /// The area of a device's memory with this number, which counts from 0 in the platform file.
    #[must_use]
    pub fn find_area(&self, device: &str, number: u32) -> Option<&'static InfoEntry> {
        let name = Name::new(device)?;
        let is_area = |entry: &&InfoEntry| {
            entry.kind == InfoKind::DeviceMemory as u32 && entry.name == name && entry.area == number
        };
        self.entries.iter().find(is_area)
    }

    /// All that this domain was given.
    #[must_use]
    pub fn entries(&self) -> &'static [InfoEntry] {
        self.entries
    }

    /// The clients of this server's gates.
    pub fn clients(&self) -> impl Iterator<Item = &'static InfoEntry> {
        self.entries.iter().filter(|entry| entry.kind == InfoKind::Client as u32)
    }
}

/// The slot of an entry, if it has one.
#[must_use]
pub fn slot(entry: &InfoEntry) -> Option<Slot> {
    number(entry.slot).map(Slot)
}

/// The slot by which an entry's other party is signalled, if there is one.
#[must_use]
pub fn signal_slot(entry: &InfoEntry) -> Option<Slot> {
    number(entry.signal_slot).map(Slot)
}

/// The client that the entry is about, as this server's gate numbers it.
#[must_use]
pub fn badge(entry: &InfoEntry) -> Badge {
    Badge(entry.badge)
}

/// The mask of the event bit that an entry sets in this domain; 0 if it sets none.
#[must_use]
pub fn event_mask(entry: &InfoEntry) -> u64 {
    1_u64.checked_shl(entry.event_bit).unwrap_or(0)
}

fn number(field: u32) -> Option<u8> {
    (field != NONE).then(|| u8::try_from(field).ok()).flatten()
}
