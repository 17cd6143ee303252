//! Regions: who may use which pages of memory.
//!
//! Every region but the ones made at boot is carved out of another one. A region out of which something has
//! been carved cannot be mapped or passed on itself, so each page belongs to exactly one region that can be
//! used.

use cloison_abi::{CallError, limits::MAX_REGIONS};

use crate::{
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
    };

    /// Its pages.
    #[must_use]
    pub fn run(&self) -> Run {
        Run::new(self.first, self.pages.into())
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

    /// Whether its pages are page tables, and so the kernel's alone.
    #[must_use]
    pub fn holds_page_tables(&self) -> bool {
        self.page_tables != PageTables::No
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
    /// [`CallError::BadState`] if something was carved out of it, it holds page tables, or it is not zeroed
    /// yet.
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
        let region = Region { first, pages, parent: None, backing, page_tables: PageTables::No };
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
        let from = *self.get(parent)?;
        let end = first.checked_add(pages).ok_or(CallError::BadArgument)?;
        if pages == 0 || end > from.pages.into() {
            return Err(CallError::BadArgument);
        }
        if from.holds_page_tables() {
            return Err(CallError::BadState);
        }
        let backing = match from.backing {
            Backing::Memory { .. } => Backing::Memory { zeroed: 0 },
            Backing::Device => Backing::Device,
        };
        let region = Region {
            first: from.first.after(first),
            pages: pages as u32,
            parent: Some(parent.id),
            backing,
            page_tables: PageTables::No,
        };
        if self.all().any(|other| other.parent == Some(parent.id) && overlap(&region, other)) {
            return Err(CallError::Overlap);
        }
        self.insert(region)
    }

    /// Whether a region can be ended, and its memory zeroed, now.
    ///
    /// # Errors
    /// [`CallError::BadState`] if something was carved out of it or it holds page tables.
    pub fn check_deletable(&self, region: RegionRef) -> Result<(), CallError> {
        let free = !self.get(region)?.holds_page_tables() && !self.has_children(region.id);
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
    /// [`CallError::BadState`] for a device, for what is not [usable](RegionTable::usable) otherwise, and for
    /// tables that are in use.
    pub fn take_tables(&mut self, region: RegionRef) -> Result<Run, CallError> {
        let found = self.get(region)?;
        let idle = found.page_tables == PageTables::Idle && found.is_clean();
        if found.is_device() || !(idle || self.usable(region).is_ok()) {
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
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn memory(table: &mut RegionTable, pages: u32) -> RegionRef {
        table.add(Frame::new(0x100), pages, Backing::Memory { zeroed: 0 }).unwrap()
    }

    #[test]
    fn a_parent_with_children_is_of_no_use() {
        let mut table = RegionTable::EMPTY;
        let parent = memory(&mut table, 8);
        table.scrub(parent, 8).unwrap();
        assert!(table.usable(parent).is_ok());
        let child = table.carve(parent, 0, 4).unwrap();
        assert_eq!(table.usable(parent), Err(CallError::BadState));
        assert_eq!(table.usable(child), Err(CallError::BadState), "not zeroed yet");
        assert_eq!(table.check_deletable(parent), Err(CallError::BadState));
        assert_eq!(table.delete(parent), Err(CallError::BadState));
        table.delete(child).unwrap();
        assert_eq!(table.get(child), Err(CallError::BadSlot));
        assert!(table.usable(parent).is_ok());
    }

    #[test]
    fn page_tables_are_of_no_use() {
        let mut table = RegionTable::EMPTY;
        let tables = memory(&mut table, 8);
        assert_eq!(table.take_tables(tables), Err(CallError::BadState), "not zeroed yet");
        table.scrub(tables, 8).unwrap();
        assert_eq!(table.take_tables(tables).unwrap().pages(), 8);
        assert_eq!(table.take_tables(tables), Err(CallError::BadState), "of two address spaces");
        for _ in 0..2 {
            assert_eq!(table.usable(tables), Err(CallError::BadState));
            assert_eq!(table.carve(tables, 0, 1), Err(CallError::BadState));
            assert_eq!(table.check_deletable(tables), Err(CallError::BadState));
            assert_eq!(table.delete(tables), Err(CallError::BadState));
            // The same while the next life is made ready.
            let _ = table.end_tables(tables);
        }
    }

    #[test]
    fn tables_are_zeroed_when_no_address_space_uses_them() {
        let mut table = RegionTable::EMPTY;
        let tables = memory(&mut table, 8);
        table.scrub(tables, 8).unwrap();
        assert_eq!(table.end_tables(tables), Err(CallError::BadState), "they are none");
        table.take_tables(tables).unwrap();
        assert_eq!(table.begin_scrub(tables), Err(CallError::BadState));
        assert_eq!(table.release_tables(tables), Err(CallError::BadState));
        assert_eq!(table.scrub(tables, 8).unwrap().pages(), 0, "a CPU may walk them");
        table.end_tables(tables).unwrap();
        assert_eq!(table.take_tables(tables), Err(CallError::BadState), "not zeroed yet");
        assert_eq!(table.scrub(tables, 5).unwrap(), Run::new(Frame::new(0x100), 5));
        assert_eq!(table.scrub(tables, 5).unwrap(), Run::new(Frame::new(0x105), 3));
        assert!(table.take_tables(tables).is_ok(), "the next life");
        table.end_tables(tables).unwrap();
        table.release_tables(tables).unwrap();
        assert_eq!(table.usable(tables), Err(CallError::BadState), "not zeroed yet");
        table.scrub(tables, 8).unwrap();
        assert!(table.usable(tables).is_ok());
    }

    #[test]
    fn devices_are_neither_zeroed_nor_page_tables() {
        let mut table = RegionTable::EMPTY;
        let device = table.add(Frame::new(0x100), 8, Backing::Device).unwrap();
        table.begin_scrub(device).unwrap();
        assert_eq!(table.scrub(device, 8), Ok(Run::NONE));
        assert!(table.usable(device).is_ok());
        assert_eq!(table.take_tables(device), Err(CallError::BadState));
    }

    #[test]
    fn what_was_carved_before_is_known_again() {
        let mut table = RegionTable::EMPTY;
        let parent = memory(&mut table, 8);
        let child = table.carve(parent, 2, 3).unwrap();
        let (is, of) = (*table.get(child).unwrap(), *table.get(parent).unwrap());
        assert!(is.is_part(parent.id, &of, 2, 3));
        assert!(!is.is_part(child.id, &of, 2, 3));
        assert!(!is.is_part(parent.id, &of, 1, 3) && !is.is_part(parent.id, &of, 2, 2));
        assert!(!is.is_part(parent.id, &of, u64::MAX, 3));
    }

    #[test]
    fn an_old_reference_does_not_reach_a_new_region() {
        let mut table = RegionTable::EMPTY;
        let parent = memory(&mut table, 8);
        let first = table.carve(parent, 0, 1).unwrap();
        table.delete(first).unwrap();
        let second = table.carve(parent, 0, 1).unwrap();
        assert_eq!(first.id, second.id);
        assert_eq!(table.get(first), Err(CallError::BadSlot));
    }

    #[test]
    fn an_empty_place_is_no_region() {
        assert_eq!(RegionTable::EMPTY.get(RegionRef::NONE), Err(CallError::BadSlot));
    }

    #[test]
    fn a_place_that_has_had_all_its_regions_is_not_used_again() {
        let mut table = RegionTable::EMPTY;
        let parent = memory(&mut table, 8);
        let first = table.carve(parent, 0, 1).unwrap();
        table.generations[first.id.index()] = u32::MAX - 1;
        let last = RegionRef { generation: u32::MAX - 1, ..first };
        table.delete(last).unwrap();
        let next = table.carve(parent, 0, 1).unwrap();
        assert_ne!(
            next.id, first.id,
            "a generation that counted on would reach 0 and old references with it"
        );
    }

    #[test]
    fn devices_do_not_overlap_memory() {
        let mut table = RegionTable::EMPTY;
        memory(&mut table, 8);
        assert_eq!(table.add(Frame::new(0x107), 1, Backing::Device), Err(CallError::Overlap));
        assert_eq!(table.add(Frame::new(u64::MAX), 1, Backing::Device), Err(CallError::BadArgument));
        assert!(table.add(Frame::new(0x108), 1, Backing::Device).is_ok());
        assert!(table.add(Frame::new(0xff), 1, Backing::Device).is_ok());
    }

    proptest! {
        /// Whatever is asked for, no page is ever part of two children.
        #[test]
        fn children_never_overlap(asked in prop::collection::vec((0_u64..70, 0_u64..20), 0..100)) {
            let mut table = RegionTable::EMPTY;
            let parent = memory(&mut table, 64);
            let mut got: Vec<Region> = Vec::new();
            for (first, pages) in asked {
                let new = Region { first: Frame::new(0x100 + first), pages: pages as u32, ..Region::NONE };
                let fits = pages > 0 && first + pages <= 64 && !got.iter().any(|other| overlap(&new, other));
                let carved = table.carve(parent, first, pages);
                prop_assert_eq!(carved.is_ok(), fits, "{} pages from {} on", pages, first);
                if let Ok(child) = carved {
                    let child = *table.get(child).unwrap();
                    prop_assert!(Run::new(Frame::new(0x100), 64).contains(child.run()));
                    prop_assert!(got.iter().all(|other| !overlap(&child, other)));
                    got.push(child);
                }
            }
        }
    }
}
