//! The address space of one domain: what lies where, with guard pages, and how many page tables that takes.

use std::collections::{BTreeMap, BTreeSet};

use cloison_abi::Rights;
use cloison_abi::limits::{IMAGE_ADDRESS, INFO_ADDRESS, PAGE_BYTES};

use super::program::Program;

/// Pages that stay unmapped on each side of stack and heap, and between what comes after.
pub(crate) const GUARD_PAGES: u64 = 1;
/// Page tables beyond those that the plan's mappings take, for what a domain maps at run time nearby.
pub(crate) const SPARE_TABLES: u64 = 2;

/// The private memory of a domain: one region, whose parts are mapped each with its own rights.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The information page.
    pub info: Part,
    /// The segments of the domain's programs, by their addresses: each as long as the longest that is there.
    pub segments: Vec<Part>,
    /// The stack.
    pub stack: Part,
    /// The heap; `None` if the domain has none.
    pub heap: Option<Part>,
    /// The settings; `None` if the manifest fixes nothing for the domain.
    pub settings: Option<Part>,
}

/// A part of a domain's private region.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Where the domain sees it.
    pub address: u64,
    /// Its first page in the region.
    pub first_page: u64,
    /// Its length, in pages.
    pub pages: u64,
    /// What the domain may do with it.
    pub rights: Rights,
}

impl Part {
    /// First address above it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address + self.pages * PAGE_BYTES
    }
}

impl Layout {
    /// Lays out the programs that a domain can run, of which it sees one in each life, a stack, a heap and settings.
    #[must_use]
    pub fn new(programs: &[&Program], stack_pages: u64, heap_pages: u64, settings_pages: u64) -> Self {
        let mut next_page = 0;
        let mut part = |address, pages, rights| {
            let part = Part { address, first_page: next_page, pages, rights };
            next_page += pages;
            part
        };
        let data = Rights::READ | Rights::WRITE;
        let info = part(INFO_ADDRESS, 1, Rights::READ);
        let mut longest = BTreeMap::new();
        for segment in programs.iter().flat_map(|program| &program.segments) {
            let known = longest.entry(segment.address).or_insert((segment.pages, segment.rights));
            known.0 = known.0.max(segment.pages);
        }
        let segments = longest.into_iter().map(|(address, (pages, rights))| part(address, pages, rights));
        let segments = segments.collect();
        let end = programs.iter().map(|program| program.end()).max().unwrap_or(IMAGE_ADDRESS);
        let stack = part(end + GUARD_PAGES * PAGE_BYTES, stack_pages, data);
        let heap = part(stack.end() + GUARD_PAGES * PAGE_BYTES, heap_pages, data);
        let before = if heap_pages > 0 { heap } else { stack };
        let settings = part(before.end() + GUARD_PAGES * PAGE_BYTES, settings_pages, Rights::READ);
        let there = |part: Part| (part.pages > 0).then_some(part);
        Self { info, segments, stack, heap: there(heap), settings: there(settings) }
    }

    /// The part that begins at an address of a segment.
    #[must_use]
    pub fn segment(&self, address: u64) -> Option<&Part> {
        self.segments.iter().find(|part| part.address == address)
    }

    /// All parts, in the order of their addresses.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let first = std::iter::once(self.info).chain(self.segments.iter().copied());
        first.chain(std::iter::once(self.stack)).chain(self.heap).chain(self.settings)
    }

    /// Length of the region, in pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.parts().map(|part| part.pages).sum()
    }

    /// First address above all parts and their guard page.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.settings.or(self.heap).unwrap_or(self.stack).end() + GUARD_PAGES * PAGE_BYTES
    }
}

/// Pages of page tables that these mappings, as address and number of pages, take: the top table and, below
/// it, each table that at least one page needs.
#[must_use]
pub fn table_pages(mappings: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    // What one table of each level below the top covers, as bits of the address: 2 MiB, 1 GiB, 512 GiB.
    const COVERED_BITS: [u32; 3] = [21, 30, 39];
    let mut tables = BTreeSet::new();
    for (address, pages) in mappings {
        if pages == 0 {
            continue;
        }
        let last = address + pages * PAGE_BYTES - 1;
        for bits in COVERED_BITS {
            tables.extend((address >> bits..=last >> bits).map(|table| (bits, table)));
        }
    }
    1 + tables.len() as u64
}
