//! Works out what nobody wants to write down: addresses, slots, badges, event bits, quotas.
//!
//! Everything follows the order of the manifest, so that the same input gives the same plan, bit for bit.

mod assign;
mod layout;
mod program;
mod settings;

use std::collections::BTreeMap;

use cloison_abi::info::InfoEntry;
use cloison_abi::limits::{MAX_MAPPINGS, PAGE_BYTES};
use cloison_abi::plan::{MappingEntry, PortEntry, RegionEntry, SlotEntry};

pub(crate) use assign::name;
pub use layout::{Layout, Part, table_pages};
pub use program::{BINARY_CHECKS, Program, Segment};

use crate::diagnostic::{Diagnostic, Sources, Span};
use crate::system::{Component, ComponentId, System, pages};
use crate::{Binaries, Report};
use layout::SPARE_TABLES;
use program::ProgramFault;

/// Where shared memory and devices begin in a domain's address space; program, stack and heap are below.
pub const SHARED_ADDRESS: u64 = 0x1000_0000;
/// Memory that is not the domains', beside the image.
const RESERVED_PAGES: u64 = crate::check::memory::RESERVED_MIB * (1 << 20) / PAGE_BYTES;

/// The compiled manifest, before it is bytes.
#[derive(Debug)]
pub struct Plan {
    /// Programs, by [`ComponentId`]; the builder's is the first.
    pub programs: Vec<Program>,
    /// The builder's own memory.
    pub builder: Layout,
    /// The domains, in the order of the manifest.
    pub domains: Vec<DomainPlan>,
    /// The regions: first the private one of each domain, in their order.
    pub regions: Vec<RegionEntry>,
    /// The mappings, by domain and address.
    pub mappings: Vec<MappingEntry>,
    /// The slots, by domain and number.
    pub slots: Vec<SlotEntry>,
    /// The ranges of I/O ports.
    pub ports: Vec<PortEntry>,
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
    pub info: Vec<InfoEntry>,
    /// What the manifest fixes for it, as bytes.
    pub settings: Vec<u8>,
    /// The event bit of its fault handler that tells of its faults.
    pub fault_event: Option<u32>,
}

/// Makes the plan.
///
/// # Errors
///
/// Everything that keeps a program from running where it has to.
pub fn plan(system: &System, binaries: &Binaries) -> Result<Plan, Report> {
    let mut faults = Faults { sources: system.sources.clone(), found: Vec::new(), files: BTreeMap::new() };
    let programs: Vec<_> =
        system.components.iter().map(|component| faults.program(component, binaries)).collect();
    // A program with faults has no layout; the other checks need all of them.
    let Some(programs) = programs.into_iter().collect::<Option<Vec<Program>>>() else {
        return Err(Report::new(faults.sources, faults.found));
    };
    let builder = system.builder();
    let builder = Layout::new(&programs[0], pages(builder.stack_kib), pages(builder.heap_kib), 0);
    let layouts = system.domains().map(|(id, domain)| {
        let settings_pages = page_count(settings::length(system, id));
        Layout::new(&programs[domain.component.0], domain.stack_pages, domain.heap_pages, settings_pages)
    });
    let plan = assign::assign(system, programs.clone(), builder, layouts.collect());
    faults.judge(system, &plan);
    if faults.found.is_empty() { Ok(plan) } else { Err(Report::new(faults.sources, faults.found)) }
}

impl Plan {
    /// Memory that a domain alone has, page tables included, in pages.
    #[must_use]
    pub fn own_pages(&self, domain: usize) -> u64 {
        self.domains[domain].layout.pages() + self.domains[domain].quota_pages
    }

    /// Memory that all domains have together, in pages.
    #[must_use]
    pub fn total_pages(&self) -> u64 {
        let regions = self.regions.iter().filter(|region| region.device_address == 0);
        let tables: u64 = self.domains.iter().map(|domain| domain.quota_pages).sum();
        regions.map(|region| u64::from(region.pages)).sum::<u64>() + tables
    }
}

/// The faults of programs. They have no text to point into; their place is the start of the program's file.
struct Faults {
    sources: Sources,
    found: Vec<Diagnostic>,
    files: BTreeMap<String, Span>,
}

impl Faults {
    fn program(&mut self, component: &Component, binaries: &Binaries) -> Option<Program> {
        let name = &component.name;
        let Some(elf) = binaries.0.get(name) else {
            let (message, help) = (format!("the program of `{name}` is missing"), "build it first");
            self.add(name, ProgramFault { id: "B001", message, help });
            return None;
        };
        Program::read(name, elf)
            .map_err(|faults| faults.into_iter().for_each(|fault| self.add(name, fault)))
            .ok()
    }

    fn add(&mut self, component: &str, fault: ProgramFault) {
        let sources = &mut self.sources;
        let at = *self.files.entry(component.to_owned()).or_insert_with(|| {
            let source = sources.add(format!("program {component}"), String::new());
            Span { source, start: 0, end: 0 }
        });
        self.found.push(Diagnostic { id: fault.id, ..Diagnostic::new(at, fault.message).help(fault.help) });
    }

    /// Checks that need the sizes of the programs.
    fn judge(&mut self, system: &System, plan: &Plan) {
        for (domain, planned) in system.domains.iter().zip(&plan.domains) {
            self.judge_end(&system.component(domain.component).name, &domain.name, &planned.layout);
        }
        self.judge_end(crate::BUILDER, crate::BUILDER, &plan.builder);
        self.judge_mappings(system, plan);
        let image =
            plan.programs.iter().map(|program| (program.image.len() as u64).div_ceil(PAGE_BYTES)).sum();
        let memory = system.platform.memory_mib.saturating_mul((1 << 20) / PAGE_BYTES);
        let available = memory.saturating_sub(RESERVED_PAGES).saturating_sub(image);
        if plan.total_pages() > available {
            let message = format!(
                "the domains need {} KiB, the machine has {} KiB for them",
                plan.total_pages() * PAGE_BYTES / 1024,
                available * PAGE_BYTES / 1024
            );
            let help = match system.platform.replaced_mib {
                None => "give less stack or heap, or raise memory_mib of the platform",
                Some(_) => "give less stack or heap, or raise --memory",
            };
            self.add(crate::BUILDER, ProgramFault { id: "B008", message, help });
        }
    }

    fn judge_end(&mut self, component: &str, domain: &str, layout: &Layout) {
        if layout.end() > SHARED_ADDRESS {
            let message = format!(
                "program, stack and heap of `{domain}` end at {:#x}, above {SHARED_ADDRESS:#x}",
                layout.end()
            );
            self.add(component, ProgramFault { id: "B004", message, help: "give it a smaller heap" });
        }
    }

    fn judge_mappings(&mut self, system: &System, plan: &Plan) {
        for (place, domain) in system.domains.iter().enumerate() {
            let count = plan.mappings.iter().filter(|mapping| mapping.domain as usize == place).count();
            if count > MAX_MAPPINGS {
                let message = format!(
                    "the domain `{}` needs {count} mappings, it can have {MAX_MAPPINGS}",
                    domain.name
                );
                let help = "link it with the library's domain.ld, which makes three segments";
                self.add(
                    &system.component(domain.component).name,
                    ProgramFault { id: "B007", message, help },
                );
            }
        }
        let (count, most) = (plan.builder.parts().count(), cloison_abi::image::BUILDER_SEGMENTS);
        if count > most {
            let message = format!("the builder has {count} segments, it can have {most}");
            let help = "link it with the library's domain.ld, which makes three segments";
            self.add(crate::BUILDER, ProgramFault { id: "B007", message, help });
        }
    }
}

/// Pages that this many bytes take.
pub(crate) fn page_count(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES)
}

/// Pages that a domain's page tables take, with some to spare.
fn quota_pages(mappings: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    table_pages(mappings) + SPARE_TABLES
}
