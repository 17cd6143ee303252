//! Mappings: which addresses of a domain show which pages of which region.

use core::ops::Range;

use cloison_abi::{
    CallError, Rights,
    limits::{DOMAIN_END, INFO_ADDRESS, MAX_MAPPINGS, PAGE_BYTES},
};

use crate::{
    DomainId, RegionRef,
    memory::Run,
    region::{Region, RegionTable},
};

/// A part of a region as a domain sees it, checked: see [`Mapping::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The region.
    pub(crate) region: RegionRef,
    /// First address.
    pub(crate) address: u64,
    /// First page of the region that is seen.
    pub(crate) first_page: u32,
    /// How many pages.
    pub(crate) pages: u32,
    /// How many of them are in the page tables so far.
    pub(crate) mapped: u32,
    /// How many of these show the domain's dead page in place of the memory.
    pub(crate) dead: u32,
    /// READ, WRITE, EXECUTE.
    pub(crate) rights: Rights,
    /// Whether the domain has made it by itself, while it ran. Such a mapping does not survive a restart.
    pub(crate) made_by_domain: bool,
    /// Who has lent it the region, if it sees it by a loan.
    pub(crate) lender: Option<DomainId>,
}

impl Mapping {
    /// A place in the table that no mapping takes: one without pages. It is all zeros, so that the table
    /// needs no bytes in the kernel's file.
    const NONE: Self = Self {
        region: RegionRef::NONE,
        address: 0,
        first_page: 0,
        pages: 0,
        mapped: 0,
        dead: 0,
        rights: Rights::empty(),
        made_by_domain: false,
        lender: None,
    };

    /// Checks what a call asks for: an aligned range of a domain's addresses, pages inside the region, rights
    /// that make sense and are never to write and to execute.
    ///
    /// # Errors
    /// [`CallError::BadArgument`].
    pub fn new(
        reference: RegionRef,
        region: &Region,
        address: u64,
        first_page: u64,
        pages: u64,
        rights: u64,
    ) -> Result<Self, CallError> {
        let rights = u32::try_from(rights).ok().and_then(Rights::from_bits).ok_or(CallError::BadArgument)?;
        let usable = rights.contains(Rights::READ)
            && (Rights::READ | Rights::WRITE | Rights::EXECUTE).contains(rights)
            && !rights.contains(Rights::WRITE | Rights::EXECUTE);
        let inside = first_page.checked_add(pages).is_some_and(|end| end <= region.pages.into());
        let end = pages.checked_mul(PAGE_BYTES).and_then(|bytes| address.checked_add(bytes));
        let fits = end.is_some_and(|end| end <= DOMAIN_END);
        if !usable
            || !inside
            || !fits
            || pages == 0
            || address < INFO_ADDRESS
            || !address.is_multiple_of(PAGE_BYTES)
        {
            return Err(CallError::BadArgument);
        }
        let (first_page, pages) = (first_page as u32, pages as u32);
        Ok(Self { region: reference, address, first_page, pages, rights, ..Self::NONE })
    }

    /// The same, made by the domain by itself, while it ran; or not.
    #[must_use]
    pub fn made_by_domain(self, made_by_domain: bool) -> Self {
        Self { made_by_domain, ..self }
    }

    /// The same, by a loan of this domain, if there is one.
    #[must_use]
    pub fn lent_by(self, lender: Option<DomainId>) -> Self {
        Self { lender, ..self }
    }

    /// Who has lent the region, if it is seen by a loan.
    #[must_use]
    pub fn lender(&self) -> Option<DomainId> {
        self.lender
    }

    /// Whether the domain has made it by itself.
    #[must_use]
    pub fn is_made_by_domain(&self) -> bool {
        self.made_by_domain
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> RegionRef {
        self.region
    }

    /// First address.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// The address of one of its pages.
    #[must_use]
    pub fn address_of(&self, page: u32) -> u64 {
        self.address + u64::from(page) * PAGE_BYTES
    }

    /// A part of it, of which no page is in the page tables yet.
    #[must_use]
    pub fn part(&self, pages: Range<u32>) -> Self {
        let (address, first_page) = (self.address_of(pages.start), self.first_page + pages.start);
        Self { address, first_page, pages: pages.end - pages.start, mapped: 0, dead: 0, ..*self }
    }

    /// What is left to be done until it shows what it should: the memory, or the dead page if that `is_withdrawn`. The next
    /// pages, `most` at most, and how many show the dead page then. Nothing if it does.
    #[must_use]
    pub fn unsettled(&self, is_withdrawn: bool, most: u32) -> Option<(Range<u32>, u32)> {
        let dead = self.dead;
        let (pages, left) = match is_withdrawn {
            true => {
                (dead..self.mapped.min(dead.saturating_add(most)), self.mapped.min(dead.saturating_add(most)))
            }
            false => (dead.saturating_sub(most)..dead, dead.saturating_sub(most)),
        };
        (!pages.is_empty()).then_some((pages, left))
    }

    /// READ, WRITE, EXECUTE; never the last two.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// How many pages.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// How many of them are in the page tables so far.
    #[must_use]
    pub fn mapped(&self) -> u32 {
        self.mapped
    }

    /// How many of these show the domain's dead page, from the first on.
    #[must_use]
    pub fn dead(&self) -> u32 {
        self.dead
    }

    /// How many pages it shows when it is complete: fewer than it could, if the region has fewer just now.
    #[must_use]
    pub fn seen_pages(&self, region: &Region) -> u32 {
        if region.is_vacant() {
            self.pages
        } else {
            self.pages.min(region.pages.saturating_sub(self.first_page))
        }
    }

    /// The pages that it shows, if they lie in `region` and that may be seen.
    #[must_use]
    pub fn frames(&self, region: &Region) -> Option<Run> {
        let whole = region.run();
        let pages = self.seen_pages(region);
        let shown = Run::new(whole.first.after(self.first_page.into()), pages.into());
        let is_memory = region.is_clean() && !region.holds_page_tables();
        (is_memory && whole.contains(shown)).then_some(shown)
    }

    fn end(&self) -> u64 {
        self.address + u64::from(self.pages) * PAGE_BYTES
    }
}

/// The mappings of one domain.
#[derive(Clone, Debug)]
pub struct MappingTable([Mapping; MAX_MAPPINGS]);

impl MappingTable {
    /// A table with nothing in it.
    pub const EMPTY: Self = Self([Mapping::NONE; MAX_MAPPINGS]);

    /// Adds a mapping of which no page is in the page tables yet. One that was added before and is not
    /// complete is gone on with. Returns it, with how many of its pages are in the page tables.
    ///
    /// # Errors
    /// [`CallError::Overlap`] with another one, [`CallError::QuotaExceeded`] if the table is full.
    pub fn begin(&mut self, new: Mapping) -> Result<Mapping, CallError> {
        let old = self.starting_at(new.address);
        if let Some(old) = old.filter(|old| {
            old.mapped < old.pages && *old == Mapping { mapped: old.mapped, dead: old.dead, ..new }
        }) {
            return Ok(old);
        }
        if self.iter().any(|old| new.address < old.end() && old.address < new.end()) {
            return Err(CallError::Overlap);
        }
        let place = self.0.iter_mut().find(|place| place.pages == 0).ok_or(CallError::QuotaExceeded)?;
        *place = new;
        Ok(new)
    }

    /// The mapping that starts at an address.
    #[must_use]
    pub fn starting_at(&self, address: u64) -> Option<Mapping> {
        self.iter().find(|mapping| mapping.address == address).copied()
    }

    /// The mapping at a place of the table.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<Mapping> {
        self.0.get(place).filter(|mapping| mapping.pages > 0).copied()
    }

    /// A mapping of a region, if there is one.
    #[must_use]
    pub fn of_region(&self, region: RegionRef) -> Option<Mapping> {
        self.iter().find(|mapping| mapping.region == region).copied()
    }

    /// A mapping of a region that the domain sees some of, or that it has made by itself, if there is one.
    #[must_use]
    pub fn shown(&self, region: RegionRef) -> Option<Mapping> {
        let is_there = |mapping: &&Mapping| mapping.mapped > 0 || mapping.made_by_domain;
        self.iter().filter(is_there).find(|mapping| mapping.region == region).copied()
    }

    /// Makes this the table of a domain whose page tables are new: what the domain has mapped by itself is
    /// gone, and nothing of the rest is in the page tables yet.
    pub fn renew(&mut self) {
        for place in &mut self.0 {
            *place =
                if place.made_by_domain { Mapping::NONE } else { Mapping { mapped: 0, dead: 0, ..*place } };
        }
    }

    /// A mapping of which some pages are not in the page tables yet, if there is one.
    #[must_use]
    pub fn unfinished(&self, regions: &RegionTable) -> Option<Mapping> {
        let seen = |mapping: &Mapping| {
            let region = regions.get(mapping.region);
            region.map_or(mapping.pages, |region| mapping.seen_pages(region))
        };
        self.iter().find(|mapping| mapping.mapped < seen(mapping)).copied()
    }

    /// Notes that the first `mapped` pages of a mapping are in the page tables.
    pub fn progress(&mut self, address: u64, mapped: u32) {
        if let Some(mapping) = self.find(address) {
            mapping.mapped = mapped;
            mapping.dead = mapping.dead.min(mapped);
        }
    }

    /// Notes that the first `dead` pages of a mapping show the dead page, and the others do not.
    pub fn conceal(&mut self, address: u64, dead: u32) {
        if let Some(mapping) = self.find(address) {
            mapping.dead = dead.min(mapping.mapped);
        }
    }

    /// Cuts a mapping down to its first `pages` pages; to none, and it is gone.
    pub fn truncate(&mut self, address: u64, pages: u32) {
        if let Some(mapping) = self.find(address) {
            let dead = mapping.dead.min(pages);
            *mapping =
                if pages == 0 { Mapping::NONE } else { Mapping { pages, mapped: pages, dead, ..*mapping } };
        }
    }

    fn find(&mut self, address: u64) -> Option<&mut Mapping> {
        self.0.iter_mut().find(|mapping| mapping.pages > 0 && mapping.address == address)
    }

    /// Every mapping.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.0.iter().filter(|mapping| mapping.pages > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Frame,
        region::{Backing, RegionTable},
    };

    /// The first address that can be mapped.
    const FIRST: u64 = INFO_ADDRESS;

    fn region(pages: u32) -> (RegionRef, Region) {
        let mut table = RegionTable::EMPTY;
        let reference = table.add(Frame::new(0x100), pages, Backing::Memory { zeroed: pages }).unwrap();
        let region = *table.get(reference).unwrap();
        (reference, region)
    }

    fn map(address: u64, first: u64, pages: u64, rights: Rights) -> Result<Mapping, CallError> {
        let (reference, region) = region(16);
        Mapping::new(reference, &region, address, first, pages, rights.bits().into())
    }

    #[test]
    fn refuses_what_no_domain_may_have() {
        let read = Rights::READ;
        let cases = [
            (0, 0, 1, read, "the NULL page"),
            (INFO_ADDRESS - 0x1000, 0, 1, read, "a page that a NULL pointer with an index could reach"),
            (FIRST + 1, 0, 1, read, "an address that is not aligned"),
            (FIRST, 0, 0, read, "no pages"),
            (FIRST, 0, 17, read, "more pages than the region has"),
            (FIRST, 16, 1, read, "pages after the region's end"),
            (FIRST, u64::MAX, 1, read, "a page number that overflows"),
            (FIRST, 0, u64::MAX, read, "a length that overflows"),
            (DOMAIN_END, 0, 1, read, "the end of a domain's addresses"),
            (0xffff_8400_0000_0000, 0, 1, read, "the kernel's addresses"),
            (0xffff_ffff_ffff_f000, 0, 1, read, "the last page, where the end wraps"),
            (FIRST, 0, 1, read | Rights::WRITE | Rights::EXECUTE, "writable and executable"),
            (FIRST, 0, 1, Rights::WRITE, "writable but not readable"),
            (FIRST, 0, 1, read | Rights::GRANT, "a right that is not about mapping"),
            (FIRST, 0, 1, Rights::empty(), "no rights"),
        ];
        for (address, first, pages, rights, why) in cases {
            assert_eq!(map(address, first, pages, rights), Err(CallError::BadArgument), "{why}");
        }
        let (reference, region) = region(1);
        let unknown = Mapping::new(reference, &region, FIRST, 0, 1, 1 << 40 | 1);
        assert_eq!(unknown, Err(CallError::BadArgument), "rights that do not exist");
        assert!(map(DOMAIN_END - 0x1000, 15, 1, read | Rights::EXECUTE).is_ok());
    }

    #[test]
    fn a_full_table_is_an_error_of_its_owner() {
        let mut table = MappingTable::EMPTY;
        for index in 0..MAX_MAPPINGS as u64 {
            table.begin(map(FIRST + 0x1000 * index, 0, 1, Rights::READ).unwrap()).unwrap();
            table.progress(FIRST + 0x1000 * index, 1);
        }
        let one_more = map(0x100_0000, 0, 1, Rights::READ).unwrap();
        assert_eq!(table.begin(one_more), Err(CallError::QuotaExceeded));
        table.truncate(FIRST, 0);
        assert_eq!(table.begin(one_more), Ok(one_more));
    }

    #[test]
    fn a_mapping_is_gone_on_with_only_by_the_same_call() {
        let mut table = MappingTable::EMPTY;
        let mapping = map(FIRST, 0, 8, Rights::READ).unwrap();
        assert_eq!(table.begin(mapping), Ok(mapping));
        table.progress(FIRST, 5);
        assert_eq!(table.begin(mapping), Ok(Mapping { mapped: 5, ..mapping }));
        let other = Mapping { rights: Rights::READ | Rights::WRITE, ..mapping };
        assert_eq!(table.begin(other), Err(CallError::Overlap));
        table.progress(FIRST, 8);
        assert_eq!(table.begin(mapping), Err(CallError::Overlap), "it is complete");
    }

    #[test]
    fn a_mapping_is_found_by_its_region_or_its_address() {
        let mut table = MappingTable::EMPTY;
        let mapping = map(FIRST, 0, 8, Rights::READ).unwrap();
        table.begin(mapping).unwrap();
        assert_eq!(table.of_region(mapping.region), Some(mapping));
        let later = RegionRef { generation: mapping.region.generation + 1, ..mapping.region };
        assert_eq!(table.of_region(later), None);
        assert_eq!(table.starting_at(FIRST), Some(mapping));
        assert_eq!(table.starting_at(FIRST + PAGE_BYTES), None);
    }

    #[test]
    fn a_mapping_is_cut_down_to_what_is_left_of_it() {
        let mut table = MappingTable::EMPTY;
        let mapping = map(FIRST, 0, 8, Rights::READ).unwrap();
        table.begin(mapping).unwrap();
        table.truncate(FIRST, 3);
        assert_eq!(table.starting_at(FIRST), Some(Mapping { pages: 3, mapped: 3, ..mapping }));
        table.truncate(FIRST, 0);
        table.truncate(0, 3);
        assert_eq!(table.iter().count(), 0, "an empty place is no mapping of address 0");
    }

    #[test]
    fn a_renewed_table_has_only_the_plans_mappings_and_none_of_their_pages() {
        let mut table = MappingTable::EMPTY;
        let planned = map(FIRST, 0, 8, Rights::READ).unwrap();
        let own = Mapping { made_by_domain: true, ..map(FIRST + 0x10_000, 0, 2, Rights::READ).unwrap() };
        for mapping in [planned, own] {
            table.begin(mapping).unwrap();
            table.progress(mapping.address, mapping.pages);
        }
        // The region has ended, so that each mapping counts in full.
        let regions = RegionTable::EMPTY;
        assert_eq!(table.unfinished(&regions), None);
        table.renew();
        assert_eq!(table.unfinished(&regions), Some(planned));
        assert_eq!(table.iter().count(), 1);
        table.progress(FIRST, 8);
        assert_eq!(table.unfinished(&regions), None);
    }

    #[test]
    fn a_mapping_shows_what_there_is_of_its_region() {
        let mut regions = RegionTable::EMPTY;
        let parent = regions.add(Frame::new(0x100), 32, Backing::Memory { zeroed: 0 }).unwrap();
        let reference = regions.carve(parent, 0, 16).unwrap();
        let mapping = |first| {
            let region = regions.get(reference).unwrap();
            Mapping::new(reference, region, FIRST + first * PAGE_BYTES, first, 8, 1).unwrap()
        };
        let (lower, upper) = (mapping(0), mapping(8));
        let mut table = MappingTable::EMPTY;
        table.begin(lower).unwrap();
        table.begin(upper).unwrap();
        for (pages, seen) in [(16, [8, 8]), (11, [8, 3]), (5, [5, 0]), (24, [8, 8])] {
            regions.scrub(reference, u32::MAX).unwrap();
            regions.vacate(reference).unwrap();
            assert_eq!(table.unfinished(&regions), Some(lower), "it waits for the memory");
            regions.back(reference, parent, 4, pages).unwrap();
            assert_eq!(lower.frames(regions.get(reference).unwrap()), None, "it is not zeroed");
            regions.scrub(reference, u32::MAX).unwrap();
            let region = *regions.get(reference).unwrap();
            assert_eq!([lower, upper].map(|mapping| mapping.seen_pages(&region)), seen);
            let shown = [lower, upper].map(|mapping| mapping.frames(&region).map_or(0, |run| run.pages()));
            assert_eq!(shown, seen.map(u64::from), "of {pages} pages");
            table.progress(lower.address, seen[0]);
            table.progress(upper.address, seen[1]);
            assert_eq!(table.unfinished(&regions), None);
            table.renew();
        }
    }

    #[test]
    fn only_pages_of_the_region_that_may_be_seen_are_shown() {
        let (reference, seen) = region(16);
        let mapping = Mapping::new(reference, &seen, FIRST, 3, 5, 1).unwrap();
        assert_eq!(mapping.frames(&seen), Some(Run::new(Frame::new(0x103), 5)));
        let (_, shorter) = region(7);
        assert_eq!(mapping.frames(&shorter), Some(Run::new(Frame::new(0x103), 4)));
        let (_, shortest) = region(2);
        assert_eq!(mapping.frames(&shortest), None);
        let mut table = RegionTable::EMPTY;
        let held = table.add(Frame::new(0x100), 16, Backing::Memory { zeroed: 15 }).unwrap();
        assert_eq!(mapping.frames(table.get(held).unwrap()), None, "not zeroed");
        table.scrub(held, 1).unwrap();
        assert!(mapping.frames(table.get(held).unwrap()).is_some());
        table.take_tables(held).unwrap();
        assert_eq!(mapping.frames(table.get(held).unwrap()), None, "page tables");
    }

    proptest! {
        /// No address is ever part of two mappings, and no free one is refused.
        #[test]
        fn mappings_never_overlap(asked in prop::collection::vec((1_u64..40, 1_u64..16), 0..60)) {
            let mut table = MappingTable::EMPTY;
            let mut owner = [None; 64];
            for (number, (page, pages)) in asked.into_iter().enumerate() {
                let mapping = map(FIRST + page * PAGE_BYTES, 0, pages, Rights::READ).unwrap();
                let places = &mut owner[page as usize..(page + pages) as usize];
                let is_free = places.iter().all(Option::is_none);
                prop_assert_eq!(table.begin(mapping), if is_free { Ok(mapping) } else { Err(CallError::Overlap) });
                if is_free {
                    table.progress(mapping.address, mapping.pages);
                    places.fill(Some(number));
                }
            }
        }
    }
}
