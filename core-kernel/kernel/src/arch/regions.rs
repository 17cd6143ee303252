//! The owner of all memory: the table of regions, with what is done to their pages.
//!
//! What is in the table came in as [`Frames`] or [`DeviceFrames`], and all changes go through here. So what the table
//! says of a page is true: whether it may be zeroed, seen, or made a page table.

use core::ops::{Deref, Range};

use cloison_abi::CallError;
use cloison_rules::{
    DomainSet, RegionRef,
    mapping::Mapping,
    memory::Run,
    region::{Backing, RegionTable},
};

use super::{
    frames::{Frames, ZeroedFrames},
    guest::GuestSpaces,
    physical,
    space::{AddressSpace, DeviceFrames},
};

/// All regions of the system.
pub struct Regions(RegionTable);

/// What the table says.
impl Deref for Regions {
    type Target = RegionTable;

    fn deref(&self) -> &RegionTable {
        &self.0
    }
}

impl Regions {
    /// No regions.
    pub const EMPTY: Self = Self(RegionTable::EMPTY);

    /// Adds a region of memory, which is not zeroed yet.
    ///
    /// # Errors
    /// As [`RegionTable::add`].
    pub fn add_memory(&mut self, frames: Frames) -> Result<RegionRef, CallError> {
        let run = frames.run();
        self.0.add(run.first, run.pages() as u32, Backing::Memory { zeroed: 0 })
    }

    /// Adds a region of a device's registers.
    ///
    /// # Errors
    /// As [`RegionTable::add`].
    pub fn add_device(&mut self, DeviceFrames(run): DeviceFrames) -> Result<RegionRef, CallError> {
        let pages = u32::try_from(run.pages()).map_err(|_| CallError::BadArgument)?;
        self.0.add(run.first, pages, Backing::Device)
    }

    /// See [`RegionTable::carve`].
    ///
    /// # Errors
    /// As that.
    pub fn carve(&mut self, parent: RegionRef, first: u64, pages: u64) -> Result<RegionRef, CallError> {
        self.0.carve(parent, first, pages)
    }

    /// See [`RegionTable::delete`].
    ///
    /// # Errors
    /// As that.
    pub fn delete(&mut self, region: RegionRef) -> Result<(), CallError> {
        self.0.delete(region)
    }

    /// See [`RegionTable::back`].
    ///
    /// # Errors
    /// As that.
    pub fn back(
        &mut self,
        region: RegionRef,
        parent: RegionRef,
        first: u64,
        pages: u64,
    ) -> Result<(), CallError> {
        self.0.back(region, parent, first, pages)
    }

    /// See [`RegionTable::vacate`]. `guests` are the spaces of all guests.
    ///
    /// # Errors
    /// As that; [`CallError::BadState`] too while a guest can show it.
    pub fn vacate<'a>(
        &mut self,
        region: RegionRef,
        mut guests: impl Iterator<Item = &'a GuestSpaces>,
    ) -> Result<(), CallError> {
        if guests.any(|spaces| spaces.needs(region)) {
            return Err(CallError::BadState);
        }
        self.0.vacate(region)
    }

    /// See [`RegionTable::admit`].
    ///
    /// # Errors
    /// As that.
    pub fn admit(&mut self, region: RegionRef, party: DomainSet) -> Result<(), CallError> {
        self.0.admit(region, party)
    }

    /// See [`RegionTable::forget`].
    pub fn forget(&mut self, party: DomainSet) {
        self.0.forget(party);
    }

    /// See [`RegionTable::begin_scrub`].
    ///
    /// # Errors
    /// As that.
    pub fn begin_scrub(&mut self, region: RegionRef) -> Result<(), CallError> {
        self.0.begin_scrub(region)
    }

    /// Zeroes the next pages of a region, `most` at most. Returns whether all of it is zero, as it is if it has none.
    ///
    /// # Errors
    /// As [`RegionTable::scrub`].
    pub fn scrub_step(&mut self, region: RegionRef, most: u32) -> Result<bool, CallError> {
        let run = self.0.scrub(region, most)?;
        // SAFETY: these are pages of memory, of a region that is not zeroed yet: so they are no page tables, and
        // nothing else of the kernel is in a region.
        unsafe { physical::zero(run) };
        let region = self.0.get(region)?;
        Ok(region.is_clean() || region.is_vacant())
    }

    /// The pages of a region, for page tables.
    ///
    /// # Errors
    /// As [`RegionTable::take_tables`].
    pub fn take_tables(&mut self, region: RegionRef) -> Result<ZeroedFrames, CallError> {
        let run = self.0.take_tables(region)?;
        // SAFETY: the region is all zero, and counts as page tables until they come back: so it is neither shown
        // nor given away again.
        Ok(unsafe { ZeroedFrames::new(run) })
    }

    /// Takes back the pages of an address space that has ended. They are to be zeroed.
    ///
    /// # Errors
    /// [`CallError::BadState`] if they are not this region's.
    pub fn end_tables(&mut self, region: RegionRef, frames: &Frames) -> Result<(), CallError> {
        if self.0.get(region)?.run() != frames.run() {
            return Err(CallError::BadState);
        }
        self.0.end_tables(region)
    }

    /// See [`RegionTable::release_tables`].
    ///
    /// # Errors
    /// As that.
    pub fn release_tables(&mut self, region: RegionRef) -> Result<(), CallError> {
        self.0.release_tables(region)
    }

    /// Attaches one region to a guest of this domain. Returns its pages.
    pub(super) fn attach_one(&mut self, region: RegionRef, owner: DomainSet) -> Result<Run, CallError> {
        self.0.attach(region, owner)?;
        Ok(self.0.get(region)?.run())
    }

    /// Takes it from the guest again.
    pub(super) fn detach_one(&mut self, region: RegionRef) {
        self.0.detach(region);
    }

    /// Lets an address space show the pages of a mapping up to the one with the number `end`; if `is_dead`, its dead page in
    /// place of each.
    ///
    /// # Errors
    /// How many pages are shown, and why no more are: the address space has too few pages for its tables, or something
    /// else is seen there.
    pub fn show(
        &self,
        space: &mut AddressSpace,
        mapping: &Mapping,
        end: u32,
        is_dead: bool,
    ) -> Result<(), (u32, CallError)> {
        let mapped = mapping.mapped();
        let region = self.0.get(mapping.region()).map_err(|error| (mapped, error))?;
        let frames = mapping.frames(region).ok_or((mapped, CallError::BadState))?;
        let (rights, device) = (mapping.rights(), region.is_device());
        for page in mapped..end.min(mapping.pages()) {
            let address = mapping.address_of(page);
            let frame = frames.first.after(page.into());
            let shown = if is_dead {
                space.map_dead(address, rights)
            } else {
                space.map(address, frame, rights, device)
            };
            shown.map_err(|error| (page, error))?;
        }
        Ok(())
    }

    /// Lets an address space show other pages where it shows some of a mapping: those of the region, or, if `is_dead`, its
    /// dead page. If there is none, nothing is seen there.
    pub fn show_instead(
        &self,
        space: &mut AddressSpace,
        mapping: &Mapping,
        pages: Range<u32>,
        is_dead: bool,
    ) {
        space.hide(mapping, pages.clone());
        let part = mapping.part(pages);
        let _ = self.show(space, &part, part.pages(), is_dead);
    }
}
