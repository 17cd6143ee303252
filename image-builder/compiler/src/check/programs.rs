//! The checks of programs, which can run only when the programs have been built: each by itself, then all of them in
//! their places.

use std::collections::BTreeMap;

use cloison_abi::Rights;
use cloison_abi::image::BUILDER_SEGMENTS;
use cloison_abi::limits::{IMAGE_ADDRESS, MAX_MAPPINGS, PAGE_BYTES};

use super::memory::RESERVED_MIB;
use crate::diagnostic::{Diagnostic, Report, Sources, Span};
use crate::emit::rows_fit;
use crate::manifest::AskedBy;
use crate::plan::{Binaries, Layout, Load, Plan, Program, ProgramFile, SHARED_ADDRESS, Segment, page_count};
use crate::system::{Component, PAGES_IN_MIB, System};
use crate::workspace::BUILDER;

/// The checks of programs: ids and what each refuses.
pub const BINARY_CHECKS: &[(&str, &str)] = &[
    ("B001", "a program that is missing or is no x86-64 ELF executable"),
    ("B002", "a segment that does not begin at a page, or shares a page with another"),
    ("B003", "a segment that is writable and executable"),
    ("B004", "a program, or its stack and heap, outside the addresses that are theirs"),
    ("B005", "a program that needs a loader: an interpreter, relocations, thread-local storage"),
    ("B006", "a first instruction that is not in executable memory"),
    ("B007", "more segments than fit beside what a domain is given"),
    ("B008", "more memory than the machine has, programs included"),
    ("B009", "a payload that has not been fetched"),
    ("B010", "a domain whose memory rests on more code than its manifest allows"),
    ("B011", "a domain on request for which the budget is too small"),
    ("B012", "programs of one domain that do not lie alike"),
    ("B013", "more programs, files and names than the table of what is measured has room for"),
];

/// Memory that is not the domains', beside the image.
const RESERVED_PAGES: u64 = RESERVED_MIB * PAGES_IN_MIB;

/// What to do about a segment that is not as the linker script would have it.
const LINK: &str = "link it with the library's domain.ld";
const LINK_ALIKE: &str = "link both with the library's domain.ld; a program with more than 508 KiB of code, or 512 KiB of constants, lies elsewhere than a shorter one";
const LINK_SEGMENTS: &str = "link it with the library's domain.ld, which makes three segments";

/// Judges each program by itself. Returns all of them, the builder's first.
pub(crate) fn programs(system: &System, binaries: &Binaries) -> Result<Vec<Program>, Report> {
    let mut faults = Faults::new(system);
    let programs = system.components.iter().map(|component| faults.program(component, binaries));
    let programs: Vec<Option<Program>> = programs.collect();
    faults.end()?;
    let programs: Vec<Program> = programs.into_iter().flatten().collect();
    let mut faults = Faults::new(system);
    faults.judge_images(system, &programs);
    faults.end()?;
    Ok(programs)
}

/// Judges what depends on the sizes of the programs.
pub(crate) fn plan(system: &System, plan: &Plan) -> Result<(), Report> {
    let mut faults = Faults::new(system);
    for (domain, planned) in system.domains.iter().zip(&plan.domains) {
        faults.judge_end(&system.component(domain.component).name, &domain.name, &planned.layout);
    }
    faults.judge_end(BUILDER, BUILDER, &plan.builder);
    faults.judge_mappings(system, plan);
    faults.judge_segments(plan);
    faults.judge_memory(system, plan);
    faults.judge_budget(system, plan);
    if !rows_fit(system, plan) {
        let message = "the table of what is measured has no room for all programs and files".into();
        let help = "have fewer domains, images or files, or give them shorter names";
        faults.add(BUILDER, ProgramFault { id: "B013", message, help });
    }
    faults.end()
}

/// Judges whether the files are here that guests begin with.
pub(crate) fn files(system: &System) -> Result<(), Report> {
    let mut faults = Faults::new(system);
    for file in system.files.iter().filter(|file| file.bytes.is_none()) {
        let message = format!("the payload `{}` has not been fetched", file.name);
        faults.add(&file.name, ProgramFault { id: "B009", message, help: "`cargo image build` fetches it" });
    }
    faults.end()
}

/// A fault in a program: the id of the check, what is wrong, what to do.
struct ProgramFault {
    id: &'static str,
    message: String,
    help: &'static str,
}

/// The faults of programs. They have no text to point into; their place is the start of the program's file.
struct Faults {
    sources: Sources,
    found: Vec<Diagnostic>,
    files: BTreeMap<String, Span>,
}

impl Faults {
    fn new(system: &System) -> Self {
        Self { sources: system.sources.clone(), found: Vec::new(), files: BTreeMap::new() }
    }

    fn end(self) -> Result<(), Report> {
        if self.found.is_empty() { Ok(()) } else { Err(Report::new(self.sources, self.found)) }
    }

    fn add(&mut self, component: &str, fault: ProgramFault) {
        let sources = &mut self.sources;
        let at = *self.files.entry(component.to_owned()).or_insert_with(|| {
            let source = sources.add(format!("program {component}"), String::new());
            Span { source, start: 0, end: 0 }
        });
        self.found.push(Diagnostic { id: fault.id, ..Diagnostic::new(at, fault.message).help(fault.help) });
    }

    fn program(&mut self, component: &Component, binaries: &Binaries) -> Option<Program> {
        let name = &component.name;
        let Some(elf) = binaries.0.get(name) else {
            let (message, help) = (format!("the program of `{name}` is missing"), "build it first");
            self.add(name, ProgramFault { id: "B001", message, help });
            return None;
        };
        let Some(file) = ProgramFile::read(elf) else {
            let message = format!("the program of `{name}` is no x86-64 ELF executable");
            let help = "build it again; a file that was cut short while it was written looks so";
            self.add(name, ProgramFault { id: "B001", message, help });
            return None;
        };
        let found = faults_of(name, &file);
        if found.is_empty() {
            return Some(Program::new(&file));
        }
        found.into_iter().for_each(|fault| self.add(name, fault));
        None
    }

    /// What a domain sees is the same whichever of its programs it runs, so what of them is at an address has one kind of
    /// rights, and begins there in each that has something there.
    fn judge_images(&mut self, system: &System, programs: &[Program]) {
        for domain in &system.domains {
            for image in &domain.images {
                let others = || domain.programs().flat_map(|program| &programs[program.0].segments);
                let mut pairs =
                    programs[image.0].segments.iter().flat_map(|one| others().map(move |other| (one, other)));
                let Some((one, other)) = pairs.find(|(one, other)| are_apart(one, other)) else { continue };
                let (name, component) = (&domain.name, &system.component(*image).name);
                let message = format!(
                    "the programs of the domain `{name}` do not lie alike: `{component}` has a segment at {:#x}, another one has one at {:#x} that it overlaps",
                    one.address, other.address
                );
                self.add(component, ProgramFault { id: "B012", message, help: LINK_ALIKE });
            }
        }
    }

    /// Each domain alone has to fit; which of them fit beside each other is for the manager to see.
    fn judge_budget(&mut self, system: &System, plan: &Plan) {
        for (place, domain) in system.domains.iter().enumerate() {
            let needed = plan.budget_pages_of(place);
            if needed > plan.budget_pages {
                let [needed, given] = [needed, plan.budget_pages].map(|pages| pages * PAGE_BYTES / 1024);
                let message =
                    format!("`{}` needs {needed} KiB of the budget, which has {given} KiB", domain.name);
                let help = "raise `memory_mib` of [budget]";
                self.add(
                    &system.component(domain.component).name,
                    ProgramFault { id: "B011", message, help },
                );
            }
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
            let count =
                plan.tables.mappings.iter().filter(|mapping| mapping.domain as usize == place).count();
            if count > MAX_MAPPINGS {
                let message = format!(
                    "the domain `{}` needs {count} mappings, it can have {MAX_MAPPINGS}",
                    domain.name
                );
                let component = &system.component(domain.component).name;
                self.add(component, ProgramFault { id: "B007", message, help: LINK_SEGMENTS });
            }
        }
    }

    fn judge_segments(&mut self, plan: &Plan) {
        let count = plan.builder.parts().count();
        if count > BUILDER_SEGMENTS {
            let message = format!("the builder has {count} segments, it can have {BUILDER_SEGMENTS}");
            self.add(BUILDER, ProgramFault { id: "B007", message, help: LINK_SEGMENTS });
        }
    }

    fn judge_memory(&mut self, system: &System, plan: &Plan) {
        let image = plan
            .programs
            .iter()
            .map(|program| program.image.len())
            .chain(plan.files.iter().map(|file| file.bytes.len()));
        let image: u64 = image.map(|bytes| page_count(bytes as u64)).sum();
        let memory = system.platform.memory_mib.saturating_mul(PAGES_IN_MIB);
        let available = memory.saturating_sub(RESERVED_PAGES).saturating_sub(image);
        if plan.total_pages() > available {
            let message = format!(
                "the domains need {} KiB, the machine has {} KiB for them",
                plan.total_pages() * PAGE_BYTES / 1024,
                available * PAGE_BYTES / 1024
            );
            let help = match system.platform.replaced.map(|replaced| replaced.by) {
                None => "give less stack or heap, or raise memory_mib of the platform",
                Some(AskedBy::Manifest) => "give less stack or heap, or raise memory_mib of the system",
                Some(AskedBy::Option) => "give less stack or heap, or raise --memory",
            };
            self.add(BUILDER, ProgramFault { id: "B008", message, help });
        }
    }
}

/// Whether one region cannot hold both of two segments, each in a life of its own, with the same addresses and rights.
fn are_apart(one: &Segment, other: &Segment) -> bool {
    let end = |segment: &Segment| segment.address + segment.pages * PAGE_BYTES;
    let overlap = one.address < end(other) && other.address < end(one);
    overlap && (one.address, one.rights) != (other.address, other.rights)
}

/// Everything that is wrong with a program's file.
fn faults_of(name: &str, file: &ProgramFile<'_>) -> Vec<ProgramFault> {
    let mut faults = Vec::new();
    if file.needs_loader {
        faults.push(ProgramFault {
            id: "B005",
            message: format!("the program of `{name}` needs a loader, and there is none"),
            help: "link it statically, without relocations, and use no thread-local variables",
        });
    }
    let mut free_from = 0;
    for load in &file.loads {
        match fault_of(load, free_from) {
            Some((id, what, help)) => {
                let message = format!("the segment at {:#x} of the program of `{name}` {what}", load.address);
                faults.push(ProgramFault { id, message, help });
            }
            None => free_from = load.end(),
        }
    }
    let holds_entry = |load: &Load<'_>| {
        load.rights.contains(Rights::EXECUTE) && (load.address..load.end()).contains(&file.entry)
    };
    if faults.is_empty() && !file.loads.iter().any(holds_entry) {
        faults.push(ProgramFault {
            id: "B006",
            message: format!("the program of `{name}` begins at {:#x}, which is not in its code", file.entry),
            help: "link it with the library's domain.ld, whose entry is `_start`",
        });
    }
    faults
}

/// What is wrong with a segment, `free_from` being the first address that those below it leave.
fn fault_of(load: &Load<'_>, free_from: u64) -> Option<(&'static str, String, &'static str)> {
    let end = load.address.checked_add(load.memory_bytes);
    let is_inside = load.address >= IMAGE_ADDRESS && end.is_some_and(|end| end <= SHARED_ADDRESS);
    if !is_inside || load.bytes.len() as u64 > load.memory_bytes {
        let what = format!("is not between {IMAGE_ADDRESS:#x} and {SHARED_ADDRESS:#x}");
        return Some(("B004", what, LINK));
    }
    if !load.address.is_multiple_of(PAGE_BYTES) || load.address < free_from {
        return Some(("B002", "does not have pages of its own".into(), LINK));
    }
    if load.rights.contains(Rights::WRITE | Rights::EXECUTE) {
        let help = "nothing may be both; give code and data sections of their own";
        return Some(("B003", "is writable and executable".into(), help));
    }
    None
}
