//! Where the architect builds: slots, memory, and what has to be cleared away after an act.
#![allow(unsafe_code, reason = "what was mapped to be looked at is unmapped")]

use alloc::vec::Vec;

use cloison_abi::{
    CallError, Name, Rights,
    call::{BUILDER_SLOT_FREE, BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT},
    limits::{BUILDER_WINDOW_ADDRESS, PAGE_BYTES},
    plan::FaultPolicy,
};
use cloison_sys::{
    Slot,
    build::{Configuration, domain_configure, domain_create, domain_destroy, region_carve, region_delete},
    region_map, region_unmap,
};

use crate::{
    child::{Child, TABLE_PAGES},
    outcome::Outcome,
    view::View,
};

/// The builder right.
pub const RIGHT: Slot = Slot(BUILDER_SLOT_RIGHT);
/// A port that does nothing: the delay port of old.
pub const PORT: u16 = 0x80;
/// The largest run of free memory.
const MEMORY: Slot = Slot(BUILDER_SLOT_MEMORY);
/// Where pages are looked at, one after the other: behind the window through which `cloison_sys` writes.
const VIEW_ADDRESS: u64 = BUILDER_WINDOW_ADDRESS + (4 << 20);

/// What the architect has made since the last act.
pub struct Site {
    next_slot: u8,
    next_page: u64,
    views: Vec<u64>,
    domains: Vec<Slot>,
    regions: Vec<Slot>,
}

impl Site {
    /// Nothing is built.
    pub fn new() -> Self {
        Self {
            next_slot: BUILDER_SLOT_FREE,
            next_page: 0,
            views: Vec::new(),
            domains: Vec::new(),
            regions: Vec::new(),
        }
    }

    /// A slot that is empty.
    pub fn slot(&mut self) -> Slot {
        self.next_slot += 1;
        Slot(self.next_slot - 1)
    }

    /// A region of zeroed memory.
    pub fn region(&mut self, pages: u64) -> Outcome<Slot> {
        let region = self.slot();
        region_carve(MEMORY, region, self.next_page, pages)?;
        self.next_page += pages;
        self.regions.push(region);
        Ok(region)
    }

    /// A region within another one.
    pub fn part(&mut self, of: Slot, first: u64, pages: u64) -> Outcome<Slot> {
        let region = self.slot();
        region_carve(of, region, first, pages)?;
        self.regions.push(region);
        Ok(region)
    }

    /// A domain with these pages for its tables.
    pub fn domain(&mut self, quota: Slot) -> Outcome<Slot> {
        let domain = self.slot();
        domain_create(RIGHT, domain, quota, Name::new("child").unwrap_or_default())?;
        self.domains.push(domain);
        Ok(domain)
    }

    /// A domain that runs a piece of the child's code when it is started.
    pub fn child(&mut self) -> Outcome<Child> {
        let quota = self.region(TABLE_PAGES)?;
        self.child_with(quota)
    }

    /// The same, with these pages for its tables.
    pub fn child_with(&mut self, quota: Slot) -> Outcome<Child> {
        let (domain, code, page) = (self.domain(quota)?, self.region(1)?, self.region(1)?);
        domain_configure(domain, &configuration())?;
        let view = self.view(page, Rights::READ | Rights::WRITE)?;
        Child::new(domain, code, page, view)
    }

    /// Maps the first page of a region for the architect to look at.
    pub fn view(&mut self, region: Slot, rights: Rights) -> Outcome<View> {
        let address = VIEW_ADDRESS + PAGE_BYTES * self.views.len() as u64;
        region_map(region, address, 0, 1, rights)?;
        self.views.push(address);
        // SAFETY: it has just been mapped. `clear` unmaps it when the act is over, and no act keeps a view.
        Ok(unsafe { View::at(address) })
    }

    /// Destroys a domain before its time.
    pub fn destroy(&mut self, domain: Slot) -> Outcome {
        self.domains.retain(|other| *other != domain);
        Ok(domain_destroy(domain)?)
    }

    /// Deletes a region before its time.
    pub fn delete(&mut self, region: Slot) -> Outcome {
        self.regions.retain(|other| *other != region);
        Ok(region_delete(region)?)
    }

    /// Clears everything away that an act has made.
    pub fn clear(&mut self) -> Outcome {
        for address in self.views.drain(..) {
            // SAFETY: a `View` is a number; to use one that is kept would be a fault, and no act keeps one.
            unsafe { region_unmap(address) }?;
        }
        self.domains.drain(..).rev().try_for_each(domain_destroy)?;
        self.regions.drain(..).rev().try_for_each(region_delete)?;
        *self = Self::new();
        Ok(())
    }
}

/// How children run: below the architect, who handles their faults.
pub fn configuration() -> Configuration {
    Configuration {
        priority: 1,
        budget_us: 0,
        period_us: 0,
        on_fault: FaultPolicy::Handler,
        handler: None,
        ends_system: false,
        comes_back: false,
    }
}

/// The error of a call, as a number that a child brings back.
pub const fn number(error: CallError) -> i32 {
    error as i32
}
