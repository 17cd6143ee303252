//! Keeper: compares the lives of a domain that is restarted, as the kernel and as the domain itself sees them.
//!
//! In each life it borrows the domain's memory and keeps it for as long as it can. When the next life begins, it
//! must have lost it.

#![no_std]
#![no_main]

use cloison_abi::{CallError, Rights};
use cloison_rt::{
    log,
    sys::{
        Badge, CensusEntry, Slot, census_read, figures, info, peer::gone_clients, region_info, region_map,
        region_unmap, signal, slot_drop,
    },
};
use keeper_api::keep;

cloison_rt::entry!(main);

/// Where borrowed memory is seen: nothing else is near.
const PLACE: u64 = 0x3000_0000;
const PAGES: u64 = 2;
const BOTH: Rights = Rights::READ.union(Rights::WRITE);

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let missing = "the plan lacks a grant";
    let client = page.clients().find(|entry| entry.name.as_str() == "keep").ok_or("there is no client")?;
    let keeper = Keeper {
        census: page.slot::<info::Right>("census-right").ok_or(missing)?,
        plot: page.slot::<info::Region>("plot").ok_or(missing)?,
        client: client.channel.peer.as_str(),
        badge: client.channel.badge,
        bell: info::signal_slot(client).ok_or("the client cannot be signalled")?,
        first: None,
        life: 0,
        borrowed: None,
    };
    keep::serve(&mut { keeper })
}

/// A life as it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Life {
    slots: u64,
    memory: u64,
    events: u64,
    census: u64,
    table_pages: u64,
    mappings: u64,
    filled: u64,
    pending: u64,
}

struct Keeper {
    census: Slot,
    plot: Slot,
    client: &'static str,
    badge: Badge,
    bell: Slot,
    first: Option<Life>,
    life: u32,
    borrowed: Option<Slot>,
}

impl Keeper {
    /// What the kernel keeps for the client: digest of its census, and its index there.
    fn census(&self) -> Option<(u64, u8)> {
        let (mut cursor, mut digest, mut index) = (0, keeper_api::digest::START, None);
        while let Ok(Some((entry, next))) = census_read(self.census, cursor) {
            cursor = next;
            if entry.domain.as_str() == self.client {
                let CensusEntry { slot, kind, rights, .. } = entry;
                for word in [slot.into(), kind as u32, rights.bits()] {
                    digest = keeper_api::digest::add(digest, word.into());
                }
                index = Some(entry.index);
            }
        }
        index.map(|index| (digest, index))
    }

    /// Whether nothing of what the client has lent is left here: no slot, and no mapping.
    fn has_lost_all(&mut self) -> bool {
        let slot = self.borrowed.take();
        let slot_is_empty = slot.is_none_or(|slot| region_info(slot) == Err(CallError::BadSlot));
        let place_is_free = region_map(self.plot, PLACE, 0, PAGES, BOTH).is_ok() && unmap();
        slot_is_empty && place_is_free
    }

    /// Whether the kernel has said once, and of this client, that a life has ended.
    fn was_told(&self) -> bool {
        let mut told = gone_clients();
        told.next() == Some(self.badge) && told.next().is_none()
    }
}

impl keep::Server for Keeper {
    fn begin(
        &mut self,
        _: Badge,
        slots: u64,
        memory: u64,
        events: u64,
    ) -> Result<keep::Begun, keep::Refusal> {
        self.life += 1;
        let (census, index) = self.census().ok_or(keep::Refusal::Unknown)?;
        let now = figures(self.census, index).map_err(|_| keep::Refusal::Unknown)?;
        let life = Life {
            slots,
            memory,
            events,
            census,
            table_pages: now.table_pages,
            mappings: now.mappings,
            filled: now.slots,
            pending: now.events,
        };
        log!("life {}: slots {slots:016x}, memory {memory:016x}, census {census:016x}", self.life);
        log!(
            "life {}: {} table pages, {} mappings, {} slots, events {events:#x} and {:#x}",
            self.life,
            now.table_pages,
            now.mappings,
            now.slots,
            now.events
        );
        if self.life > 1 {
            let (lost, told) = (self.has_lost_all(), self.was_told());
            log!("what was lent is back: {lost}; the end of the last life was told: {told}");
        }
        let is_first = *self.first.get_or_insert(life) == life;
        let verdict = if is_first { "as" } else { "not as" };
        log!("life {} begins {verdict} the first", self.life);
        Ok(keep::Begun { life: self.life, is_first })
    }

    /// In every second life the slot is dropped and only the mapping kept.
    fn borrow(&mut self, _: Badge, slot: u8) -> Result<keep::Borrowed, keep::Refusal> {
        region_map(Slot(slot), PLACE, 0, PAGES, BOTH).map_err(|_| keep::Refusal::CannotMap)?;
        let word = exchange(PLACE, self.life.into());
        self.borrowed = Some(Slot(slot));
        if self.life.is_multiple_of(2) {
            // It has just been used.
            let _ = slot_drop(Slot(slot));
        }
        // The client lives: it waits for the answer.
        let _ = signal(self.bell);
        Ok(keep::Borrowed { word })
    }
}

/// Writes a word of borrowed memory. Returns what was there.
#[allow(unsafe_code, reason = "the memory is mapped at a fixed address")]
fn exchange(address: u64, word: u64) -> u64 {
    let place = core::ptr::with_exposed_provenance_mut::<u64>(address as usize);
    // SAFETY: `borrow` has mapped the page for writing, and nothing else is there.
    unsafe {
        let was = place.read_volatile();
        place.write_volatile(word);
        was
    }
}

/// Takes this domain's own memory away from the place for borrowed memory.
#[allow(unsafe_code, reason = "unmaps what has just been mapped")]
fn unmap() -> bool {
    // SAFETY: `has_lost_all` has just mapped it, and nothing has used it.
    unsafe { region_unmap(PLACE) }.is_ok()
}
