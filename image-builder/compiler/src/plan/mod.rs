//! Works out what nobody wants to write down: addresses, slots, badges, event bits, quotas.
//!
//! Everything follows the order of the manifest, so that the same input gives the same plan, bit for bit.

mod assign;
mod info;
mod layout;
mod name;
mod policy;
mod program;
mod settings;
mod tables;

use std::sync::Arc;

use cloison_abi::plan::{RegionEntry, RegionSource};

pub use info::Info;
pub use layout::{Layout, Part, table_pages};
pub(crate) use name::name;
pub(crate) use policy::{PartTables, PolicyTables};
pub use program::{Binaries, Load, Program, ProgramFile, Segment};
pub use tables::{Tables, is_memory};

pub(crate) use crate::system::page_count;
use crate::system::{ComponentId, FileId, System, pages};
use layout::SPARE_TABLES;

/// Where shared memory and devices begin in a domain's address space; program, stack and heap are below.
pub const SHARED_ADDRESS: u64 = 0x1000_0000;

/// Where a domain sees the memory of its guest, and what its guest begins with: above all else that it sees, what it
/// maps by itself included.
pub const GUEST_ADDRESS: u64 = 1 << 32;

/// The compiled manifest, before it is bytes.
#[derive(Debug)]
pub struct Plan {
    /// Programs, by [`ComponentId`]; the builder's is the first.
    pub programs: Vec<Program>,
    /// The builder's own memory.
    pub builder: Layout,
    /// The domains, in the order of the manifest.
    pub domains: Vec<DomainPlan>,
    /// What is given to them.
    pub tables: Tables,
    /// The files that guests begin with.
    pub files: Vec<FilePlan>,
    /// Pages of the budget.
    pub budget_pages: u64,
}

/// A file that guests begin with.
#[derive(Debug)]
pub struct FilePlan {
    /// Which.
    pub file: FileId,
    /// The region that holds it.
    pub region: u32,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// What the plan says about one domain beside the tables.
#[derive(Debug)]
pub struct DomainPlan {
    /// Its component.
    pub component: ComponentId,
    /// Its private memory.
    pub layout: Layout,
    /// Pages for its page tables.
    pub quota_pages: u64,
    /// What its information page says.
    pub info: Info,
    /// What the manifest fixes for it, as bytes.
    pub settings: Vec<u8>,
}

impl Plan {
    /// Gives everything its place. The programs are those of the components, the builder's first.
    pub(crate) fn new(system: &System, programs: Vec<Program>) -> Self {
        let builder = system.builder();
        let builder = Layout::new(&[&programs[0]], pages(builder.stack_kib), pages(builder.heap_kib), 0);
        let layouts = system.domains().map(|(id, domain)| {
            let settings_pages = page_count(settings::length(system, id));
            let its: Vec<&Program> = domain.programs().map(|program| &programs[program.0]).collect();
            Layout::new(&its, domain.stack_pages, domain.heap_pages, settings_pages)
        });
        let layouts = layouts.collect();
        assign::assign(system, programs, builder, layouts)
    }

    /// The program of a domain.
    #[must_use]
    pub fn program_of(&self, domain: usize) -> &Program {
        &self.programs[self.domains[domain].component.0]
    }

    /// Memory that a domain alone has, page tables included, in pages.
    #[must_use]
    pub fn own_pages(&self, domain: usize) -> u64 {
        self.domains[domain].layout.pages() + self.domains[domain].quota_pages
    }

    /// Pages of the budget that a domain takes while it is started.
    #[must_use]
    pub fn budget_pages_of(&self, domain: usize) -> u64 {
        let is_its = |region: &&RegionEntry| {
            region.owner as usize == domain && region.source == RegionSource::Budget as u32
        };
        self.tables.regions.iter().filter(is_its).map(|region| u64::from(region.pages)).sum()
    }

    /// Memory that all domains have together, in pages.
    #[must_use]
    pub fn total_pages(&self) -> u64 {
        let page_tables: u64 = self.domains.iter().map(|domain| domain.quota_pages).sum();
        self.tables.memory_pages() + page_tables + self.budget_pages
    }
}

/// Pages that a domain's page tables take, with some to spare.
fn quota_pages(mappings: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    table_pages(mappings) + SPARE_TABLES
}
