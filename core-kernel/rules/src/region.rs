//! Regions: who may use which pages of memory.
//!
//! Every region but the ones made at boot is carved out of another one. A region out of which something has
//! been carved cannot be mapped or passed on itself, so each page belongs to exactly one region that can be
//! used.

use cloison_abi::{CallError, limits::MAX_REGIONS};

use crate::refs::{RegionId, RegionRef};

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

/// A run of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Number of the first page: its physical address divided by the page size.
    pub first_page: u64,
    /// How many pages.
    pub pages: u32,
    /// What it was carved from.
    pub parent: Option<RegionId>,
    /// What kind of memory it is.
    pub backing: Backing,
    /// Whether its pages are the page tables of a domain, and so the kernel's alone.
    pub holds_page_tables: bool,
}

impl Region {
    /// A place in the table that no region takes: one without pages. It is all zeros, so that the table needs
    /// no bytes in the kernel's file.
    const NONE: Self = Self {
        first_page: 0,
        pages: 0,
        parent: None,
        backing: Backing::Memory { zeroed: 0 },
        holds_page_tables: false,
    };

    fn end_page(&self) -> u64 {
        self.first_page + u64::from(self.pages)
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

    /// The region behind a reference, to change it.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it has ended.
    pub fn get_mut(&mut self, region: RegionRef) -> Result<&mut Region, CallError> {
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
        let free = !found.holds_page_tables && found.is_clean() && !self.has_children(region.id);
        if free { Ok(found) } else { Err(CallError::BadState) }
    }

    /// Adds a region that is carved from nothing: memory found at boot, or a device.
    ///
    /// # Errors
    /// [`CallError::TableFull`]; [`CallError::Overlap`] with another region; [`CallError::BadArgument`] for
    /// no pages.
    pub fn add(&mut self, first_page: u64, pages: u32, backing: Backing) -> Result<RegionRef, CallError> {
        let region = Region { first_page, pages, parent: None, backing, holds_page_tables: false };
        if pages == 0 || first_page.checked_add(pages.into()).is_none() {
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
        if from.holds_page_tables {
            return Err(CallError::BadState);
        }
        let backing = match from.backing {
            Backing::Memory { .. } => Backing::Memory { zeroed: 0 },
            Backing::Device => Backing::Device,
        };
        let region = Region {
            first_page: from.first_page + first,
            pages: pages as u32,
            parent: Some(parent.id),
            backing,
            holds_page_tables: false,
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
        let free = !self.get(region)?.holds_page_tables && !self.has_children(region.id);
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

    fn has_children(&self, id: RegionId) -> bool {
        self.all().any(|region| region.parent == Some(id))
    }

    fn insert(&mut self, region: Region) -> Result<RegionRef, CallError> {
        let free = |index: &usize| self.regions[*index].pages == 0 && self.generations[*index] < u32::MAX;
        let index = (0..MAX_REGIONS).find(free).ok_or(CallError::TableFull)?;
        self.regions[index] = region;
        Ok(RegionRef { id: RegionId::new(index), generation: self.generations[index] })
    }

    fn all(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(|region| region.pages > 0)
    }
}

fn overlap(a: &Region, b: &Region) -> bool {
    a.first_page < b.end_page() && b.first_page < a.end_page()
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn memory(table: &mut RegionTable, pages: u32) -> RegionRef {
        table.add(0x100, pages, Backing::Memory { zeroed: 0 }).unwrap()
    }

    #[test]
    fn a_parent_with_children_is_of_no_use() {
        let mut table = RegionTable::EMPTY;
        let parent = memory(&mut table, 8);
        table.get_mut(parent).unwrap().backing = Backing::Memory { zeroed: 8 };
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
        let region = table.get_mut(tables).unwrap();
        (region.backing, region.holds_page_tables) = (Backing::Memory { zeroed: 8 }, true);
        assert_eq!(table.usable(tables), Err(CallError::BadState));
        assert_eq!(table.carve(tables, 0, 1), Err(CallError::BadState));
        assert_eq!(table.check_deletable(tables), Err(CallError::BadState));
        assert_eq!(table.delete(tables), Err(CallError::BadState));
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
        assert_eq!(table.add(0x107, 1, Backing::Device), Err(CallError::Overlap));
        assert_eq!(table.add(u64::MAX, 1, Backing::Device), Err(CallError::BadArgument));
        assert!(table.add(0x108, 1, Backing::Device).is_ok());
        assert!(table.add(0xff, 1, Backing::Device).is_ok());
    }

    proptest! {
        /// Whatever is asked for, no page is ever part of two children.
        #[test]
        fn children_never_overlap(asked in prop::collection::vec((0_u64..70, 0_u64..20), 0..100)) {
            let mut table = RegionTable::EMPTY;
            let parent = memory(&mut table, 64);
            let mut got: Vec<Region> = Vec::new();
            for (first, pages) in asked {
                let new = Region { first_page: 0x100 + first, pages: pages as u32, ..Region::NONE };
                let fits = pages > 0 && first + pages <= 64 && !got.iter().any(|other| overlap(&new, other));
                let carved = table.carve(parent, first, pages);
                prop_assert_eq!(carved.is_ok(), fits, "{} pages from {} on", pages, first);
                if let Ok(child) = carved {
                    let child = *table.get(child).unwrap();
                    prop_assert!(child.first_page >= 0x100 && child.end_page() <= 0x140);
                    prop_assert!(got.iter().all(|other| !overlap(&child, other)));
                    got.push(child);
                }
            }
        }
    }
}
