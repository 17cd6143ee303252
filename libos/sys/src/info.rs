//! The information page: what this domain was given.
#![allow(unsafe_code, reason = "the page lies at a fixed address")]

pub use cloison_abi::info::{
    Area, Channel, Client, ConfigurationPage, GuestMemory, Interrupt, IoRange, Party, Record, Region, Right,
    Settings, Subject, Use,
};
use cloison_abi::{
    Name,
    info::{GUEST_RAM, INFO_MAGIC, InfoHeader},
    limits::{INFO_ADDRESS, PAGE_BYTES},
    plan::{NONE, Table},
};
use zerocopy::FromBytes;

use crate::Slot;

/// This domain's information page.
#[derive(Clone, Copy)]
pub struct Info {
    header: &'static InfoHeader,
    page: &'static [u8],
}

/// The information page of this domain.
#[must_use]
pub fn get() -> Info {
    // SAFETY: every domain is started with this page mapped for reading, for as long as it lives; the header is at its
    // start, the page is aligned, any bytes make a valid header, and nobody writes to it.
    unsafe {
        let page = core::slice::from_raw_parts(INFO_ADDRESS as *const u8, PAGE_BYTES as usize);
        Info { header: &*(INFO_ADDRESS as *const InfoHeader), page }
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

    /// All records of a kind. A page that is none has none.
    #[must_use]
    pub fn all<T: Record>(&self) -> &'static [T] {
        let Table { offset, count } = T::table(self.header);
        let tables = (self.header.magic == INFO_MAGIC).then(|| self.page.get(offset as usize..)).flatten();
        let read = tables.and_then(|rest| <[T]>::ref_from_prefix_with_elems(rest, count as usize).ok());
        read.map_or(&[], |(all, _)| all)
    }

    /// The record of a kind that has this name.
    #[must_use]
    pub fn find<T: Record>(&self, name: &str) -> Option<&'static T> {
        let name = Name::new(name)?;
        self.all::<T>().iter().find(|record| record.name() == name)
    }

    /// The slot of what a record of this kind and name tells of.
    #[must_use]
    pub fn slot<T: Record>(&self, name: &str) -> Option<Slot> {
        self.find::<T>(name).and_then(slot)
    }

    /// The area of a device's memory with this number, which counts from 0 in the platform file.
    #[must_use]
    pub fn find_area(&self, device: &str, number: u32) -> Option<&'static Area> {
        let name = Name::new(device)?;
        self.all::<Area>().iter().find(|area| area.name == name && area.number == number)
    }

    /// The clients of this server's gates, in the order of their badges.
    pub fn clients(&self) -> impl Iterator<Item = &'static Client> {
        self.all::<Client>().iter()
    }

    /// The mask of the event that asks this domain to end; 0 if nobody can ask it.
    #[must_use]
    pub fn shutdown_event(&self) -> u64 {
        1_u64.checked_shl(self.header.shutdown_event).unwrap_or(0)
    }

    /// Bytes that this domain and its guest have of memory: less than it could have, if it was started with less.
    #[must_use]
    pub fn guest_bytes(&self, memory: &GuestMemory) -> u64 {
        let started_with = u64::from(self.header.guest_pages) * PAGE_BYTES;
        match memory.name.as_str() {
            GUEST_RAM if started_with > 0 => memory.bytes.min(started_with),
            _ => memory.bytes,
        }
    }

    /// Which of its images this domain was started with.
    #[must_use]
    pub fn image(&self) -> usize {
        self.header.image as usize
    }

    /// The slot of the guest that this domain runs, if it runs one.
    #[must_use]
    pub fn guest(&self) -> Option<Slot> {
        number(self.header.guest_slot).map(Slot)
    }
}

/// The slot of what a record tells of, if it has one.
#[must_use]
pub fn slot(record: &impl Record) -> Option<Slot> {
    number(record.slot()).map(Slot)
}

/// The mask of the event bit that is set in this domain by what a record tells of; 0 if it sets none.
#[must_use]
pub fn event_mask(record: &impl Record) -> u64 {
    1_u64.checked_shl(record.event_bit()).unwrap_or(0)
}

/// The slot by which another party is signalled, if there is one.
#[must_use]
pub fn signal_slot(party: &impl Party) -> Option<Slot> {
    number(party.channel().signal_slot).map(Slot)
}

/// The slot of the gate into another party, if this domain calls it.
#[must_use]
pub fn gate(party: &impl Party) -> Option<Slot> {
    number(party.gate()).map(Slot)
}

/// The first of the slots that a client's grants fill, if it may grant.
#[must_use]
pub fn first_grant(client: &Client) -> Option<Slot> {
    (client.grants > 0).then(|| number(client.first_grant).map(Slot)).flatten()
}

fn number(field: u32) -> Option<u8> {
    (field != NONE).then(|| u8::try_from(field).ok()).flatten()
}
