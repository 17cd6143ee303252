//! Regions: who may use which pages of memory.
//!
//! Every region but the ones made at boot is carved out of another one. A region out of which something has
//! been carved cannot be mapped or passed on itself, so each page belongs to exactly one region that can be
//! used.

use cloison_abi::{CallError, limits::MAX_REGIONS};

use crate::{
    DomainSet,
    memory::Run,
    refs::{Frame, RegionId, RegionRef},
};

/// What kind of memory a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory. `zeroed` pages from the start of the region on have been zeroed since it was carved.
    Memory {
        /// How many pages are zero.
        zeroed: u32,
    },
    /// Registers of a device.
    Device,
    /// Nothing: who has the region sees it again when it is given memory.
    Vacant,
}

/// Whether a region's pages are page tables, and so the kernel's alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageTables {
    /// They are not.
    No,
    /// They are a domain's quota, and no tables just now.
    Idle,
    /// They are the tables of an address space.
    InUse,
}

/// A run of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first page.
    first: Frame,
    /// How many pages.
    pub(crate) pages: u32,
    /// What it was carved from.
    parent: Option<RegionId>,
    /// What kind of memory it is.
    backing: Backing,
    page_tables: PageTables,
    /// In how many places guests have it: their memory, and their frame pages.
    attached: u8,
    /// The domains that a builder lets see it, by a slot, a mapping or a guest.
    parties: DomainSet,
}

impl Region {
    /// A place in the table that no region takes: one without pages. It is all zeros, so that the table needs
    /// no bytes in the kernel's file.
    const NONE: Self = Self {
        first: Frame::new(0),
        pages: 0,
        parent: None,
        backing: Backing::Memory { zeroed: 0 },
        page_tables: PageTables::No,
        attached: 0,
        parties: 0,
    };

    /// Its pages; none if it is vacant.
    #[must_use]
    pub fn run(&self) -> Run {
        if self.is_vacant() { Run::NONE } else { Run::new(self.first, self.pages.into()) }
    }

    /// How many pages it has.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Whether it is registers of a device.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.backing == Backing::Device
    }

    /// Whether it has no memory.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.backing == Backing::Vacant
    }

    /// Whether its pages are page tables, and so the kernel's alone.
    #[must_use]
    pub fn holds_page_tables(&self) -> bool {
        self.page_tables != PageTables::No
    }

    /// Whether a guest has it, so that its pages have to stay what they are.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached > 0
    }

    /// The domains that a builder lets see it: what one of them writes there, the others can read.
    #[must_use]
    pub fn parties(&self) -> DomainSet {
        self.parties
    }

    /// Whether it is these pages, from `first` on, of `parent`.
    #[must_use]
    pub fn is_part(&self, parent: RegionId, of: &Self, first: u64, pages: u64) -> bool {
        let place = of.first.number().checked_add(first);
        self.parent == Some(parent) && place == Some(self.first.number()) && u64::from(self.pages) == pages
    }

    /// Whether every page has been zeroed since the region was carved. Device memory is left as it is.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match self.backing {
            Backing::Memory { zeroed } => zeroed == self.pages,
            Backing::Device => true,
            Backing::Vacant => false,
        }
    }
}

/// All regions of the system.
#[derive(Debug)]
pub struct RegionTable {
    regions: [Region; MAX_REGIONS],
    generations: [u32; MAX_REGIONS],
}

impl RegionTable {
    /// A table with nothing in it.
    pub const EMPTY: Self = Self { regions: [Region::NONE; MAX_REGIONS], generations: [0; MAX_REGIONS] };

    /// The region behind a reference.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it has ended.
    pub fn get(&self, region: RegionRef) -> Result<&Region, CallError> {
        let current = self.generations[region.id.index()] == region.generation;
        let found = &self.regions[region.id.index()];
        if current && found.pages > 0 { Ok(found) } else { Err(CallError::BadSlot) }
    }

    fn get_mut(&mut self, region: RegionRef) -> Result<&mut Region, CallError> {
        self.get(region)?;
        Ok(&mut self.regions[region.id.index()])
    }

    /// The region behind a reference, if a domain may map it or pass it on now.
    ///
    /// # Errors
    /// [`CallError::BadState`] if something was carved out of it, it holds page tables, it is not zeroed yet, or it is
    /// vacant.
    pub fn usable(&self, region: RegionRef) -> Result<&Region, CallError> {
        let found = self.get(region)?;
        let free = !found.holds_page_tables() && found.is_clean() && !self.has_children(region.id);
        if free { Ok(found) } else { Err(CallError::BadState) }
    }

    /// Adds a region that is carved from nothing: memory found at boot, or a device.
    ///
    /// # Errors
    /// [`CallError::TableFull`]; [`CallError::Overlap`] with another region; [`CallError::BadArgument`] for
    /// no pages.
    pub fn add(&mut self, first: Frame, pages: u32, backing: Backing) -> Result<RegionRef, CallError> {
        let region = Region { first, pages, backing, ..Region::NONE };
        if pages == 0 || first.number().checked_add(pages.into()).is_none() {
            return Err(CallError::BadArgument);
        }
        if self.all().any(|other| overlap(&region, other)) {
            return Err(CallError::Overlap);
        }
        self.insert(region)
    }

    /// Takes pages out of a region, as a region of their own, which is not zeroed yet.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if they are not all inside; [`CallError::Overlap`] with what was carved
    /// before;
    /// [`CallError::BadState`] if the parent is in use; [`CallError::TableFull`].
    pub fn carve(&mut self, parent: RegionRef, first: u64, pages: u64) -> Result<RegionRef, CallError> {
        let region = self.part(parent, first, pages)?;
        self.insert(region)
    }

    /// Pages of a region that nothing has been carved out of, as one that is to be.
    fn part(&self, parent: RegionRef, first: u64, pages: u64) -> Result<Region, CallError> {
        let from = self.get(parent)?;
        let end = first.checked_add(pages).ok_or(CallError::BadArgument)?;
        if pages == 0 || end > from.pages.into() {
            return Err(CallError::BadArgument);
        }
        if from.holds_page_tables() || from.is_attached() || from.is_vacant() {
            return Err(CallError::BadState);
        }
        let backing = if from.is_device() { Backing::Device } else { Backing::Memory { zeroed: 0 } };
        let region = Region {
            first: from.first.after(first),
            pages: pages as u32,
            parent: Some(parent.id),
            backing,
            ..Region::NONE
        };
        if self.all().any(|other| other.parent == Some(parent.id) && overlap(&region, other)) {
            return Err(CallError::Overlap);
        }
        Ok(region)
    }

    /// Whether the memory of a region can be taken. What guests show of it is for the caller to look at.
    ///
    /// # Errors
    /// [`CallError::BadState`] if something was carved out of it, it holds page tables, or is no memory.
    pub fn check_takable(&self, region: RegionRef) -> Result<(), CallError> {
        let found = self.get(region)?;
        let is_memory = !found.is_device() && !found.is_vacant() && !found.holds_page_tables();
        if is_memory && !self.has_children(region.id) { Ok(()) } else { Err(CallError::BadState) }
    }

    /// Takes the memory of a region, which is all zero. What leads to the region leads to it still.
    ///
    /// # Errors
    /// As [`RegionTable::check_takable`]; [`CallError::BadState`] too if it is not all zero.
    pub fn vacate(&mut self, region: RegionRef) -> Result<(), CallError> {
        self.check_takable(region)?;
        self.usable(region)?;
        let found = self.get_mut(region)?;
        let Region { pages, attached, parties, .. } = *found;
        *found = Region { pages, attached, parties, backing: Backing::Vacant, ..Region::NONE };
        Ok(())
    }

    /// Gives a vacant region pages of another one, from `first` on, as if it had been carved out of that. They are not
    /// zeroed yet. They can be more or fewer than it had.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is not vacant, or for memory of a device; as [`RegionTable::carve`].
    pub fn back(
        &mut self,
        region: RegionRef,
        parent: RegionRef,
        first: u64,
        pages: u64,
    ) -> Result<(), CallError> {
        let Region { attached, parties, backing, .. } = *self.get(region)?;
        if backing != Backing::Vacant || self.get(parent)?.is_device() {
            return Err(CallError::BadState);
        }
        let backed = self.part(parent, first, pages)?;
        *self.get_mut(region)? = Region { attached, parties, ..backed };
        Ok(())
    }

    /// Notes that a builder lets a domain see a region.
    ///
    /// # Errors
    /// [`CallError::BadState`] if a guest of another domain has it: what a guest sees is not withdrawn.
    pub fn admit(&mut self, region: RegionRef, party: DomainSet) -> Result<(), CallError> {
        let found = self.get_mut(region)?;
        if found.is_attached() && found.parties & !party != 0 {
            return Err(CallError::BadState);
        }
        found.parties |= party;
        Ok(())
    }

    /// Notes that a domain is gone, and sees nothing any more.
    pub fn forget(&mut self, party: DomainSet) {
        self.regions.iter_mut().for_each(|region| region.parties &= !party);
    }

    /// Whether a region can be ended, and its memory zeroed, now.
    ///
    /// # Errors
    /// [`CallError::BadState`] if something was carved out of it, it holds page tables, or a guest has it.
    pub fn check_deletable(&self, region: RegionRef) -> Result<(), CallError> {
        let found = self.get(region)?;
        let free = !found.holds_page_tables() && !found.is_attached() && !self.has_children(region.id);
        if free { Ok(()) } else { Err(CallError::BadState) }
    }

    /// Ends a region. References to it are worth nothing from now on.
    ///
    /// # Errors
    /// As [`RegionTable::check_deletable`].
    pub fn delete(&mut self, region: RegionRef) -> Result<(), CallError> {
        self.check_deletable(region)?;
        self.regions[region.id.index()] = Region::NONE;
        // The last generation is nobody's: `insert` leaves such a place empty for good.
        self.generations[region.id.index()] += 1;
        Ok(())
    }

    /// Counts a region's pages as not zeroed, unless that has begun already.
    ///
    /// # Errors
    /// [`CallError::BadState`] if they are the tables of an address space.
    pub fn begin_scrub(&mut self, region: RegionRef) -> Result<(), CallError> {
        let region = self.get_mut(region)?;
        if region.page_tables == PageTables::InUse {
            return Err(CallError::BadState);
        }
        if !region.is_device() && region.is_clean() {
            region.backing = Backing::Memory { zeroed: 0 };
        }
        Ok(())
    }

    /// The next pages of a region that are to be zeroed, `most` at most. They count as zeroed from now on.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it has ended.
    pub fn scrub(&mut self, region: RegionRef, most: u32) -> Result<Run, CallError> {
        let region = self.get_mut(region)?;
        let Backing::Memory { zeroed } = &mut region.backing else { return Ok(Run::NONE) };
        let step = most.min(region.pages - *zeroed);
        let next = Run::new(region.first.after((*zeroed).into()), step.into());
        *zeroed += step;
        Ok(next)
    }

    /// Makes a region's pages, which are all zero, the tables of an address space: the kernel's alone until
    /// [`RegionTable::release_tables`]. Nobody may map them, which the caller has looked at.
    ///
    /// # Errors
    /// [`CallError::BadState`] for a device, for what is not [usable](RegionTable::usable) otherwise, for what a guest
    /// has, and for tables that are in use.
    pub fn take_tables(&mut self, region: RegionRef) -> Result<Run, CallError> {
        let found = self.get(region)?;
        let idle = found.page_tables == PageTables::Idle && found.is_clean();
        if found.is_device() || found.is_attached() || !(idle || self.usable(region).is_ok()) {
            return Err(CallError::BadState);
        }
        let found = self.get_mut(region)?;
        found.page_tables = PageTables::InUse;
        Ok(found.run())
    }

    /// The address space whose tables these are has ended: they are to be zeroed, as a whole.
    ///
    /// # Errors
    /// [`CallError::BadState`] if they are the tables of no address space.
    pub fn end_tables(&mut self, region: RegionRef) -> Result<(), CallError> {
        let found = self.get_mut(region)?;
        if found.page_tables != PageTables::InUse {
            return Err(CallError::BadState);
        }
        (found.page_tables, found.backing) = (PageTables::Idle, Backing::Memory { zeroed: 0 });
        Ok(())
    }

    /// Lets pages be memory like any other that were kept for page tables.
    ///
    /// # Errors
    /// [`CallError::BadState`] if they are the tables of an address space.
    pub fn release_tables(&mut self, region: RegionRef) -> Result<(), CallError> {
        let found = self.get_mut(region)?;
        if found.page_tables == PageTables::InUse {
            return Err(CallError::BadState);
        }
        found.page_tables = PageTables::No;
        Ok(())
    }

    /// Lets a guest of a domain have a region, once more: until it is detached as often, it stays as it is, and nobody
    /// else's.
    ///
    /// # Errors
    /// [`CallError::BadState`] for a device, for what another domain sees too, and for what is not
    /// [usable](RegionTable::usable) otherwise; [`CallError::TableFull`].
    pub fn attach(&mut self, region: RegionRef, owner: DomainSet) -> Result<(), CallError> {
        let found = self.usable(region)?;
        if found.is_device() || found.parties & !owner != 0 {
            return Err(CallError::BadState);
        }
        let found = self.get_mut(region)?;
        found.attached = found.attached.checked_add(1).ok_or(CallError::TableFull)?;
        found.parties |= owner;
        Ok(())
    }

    /// Takes it from a guest.
    pub fn detach(&mut self, region: RegionRef) {
        if let Ok(found) = self.get_mut(region) {
            found.attached = found.attached.saturating_sub(1);
        }
    }

    /// The region behind a reference, if no guest has it.
    ///
    /// # Errors
    /// [`CallError::BadState`] if one has.
    pub fn unattached(&self, region: RegionRef) -> Result<&Region, CallError> {
        let found = self.get(region)?;
        if found.is_attached() { Err(CallError::BadState) } else { Ok(found) }
    }

    fn has_children(&self, id: RegionId) -> bool {
        self.all().any(|region| region.parent == Some(id))
    }

    fn insert(&mut self, region: Region) -> Result<RegionRef, CallError> {
        let free = |index: &usize| self.regions[*index].pages == 0 && self.generations[*index] < u32::MAX;
        let index = (0..MAX_REGIONS).find(free).ok_or(CallError::TableFull)?;
        self.regions[index] = region;
        Ok(RegionRef { id: RegionId::new(index), generation: self.generations[index] })
    }

    /// Every region.
    pub fn all(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(|region| region.pages > 0)
    }
}

fn overlap(a: &Region, b: &Region) -> bool {
    a.run().overlaps(b.run())
}

#[cfg(test)]
mod tests;
