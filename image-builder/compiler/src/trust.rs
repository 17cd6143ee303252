//! What a domain's memory rests on: the code of all who can read or write it, and how much that is.
//!
//! Those are the kernel and what loads it, the builder, which fills the memory and may keep it, and drivers of devices that
//! reach all memory by themselves. A domain that shares a part of it sees that part alone. Rust's own library is not
//! counted, and neither is firmware: they are the same for every system.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Report};
use crate::flow::{Flow, Flows, Kind, Node};
use crate::system::{Domain, DomainId, System};
use crate::workspace::BUILDER;

/// The names of the kernel and of what loads it, as programs.
pub const KERNEL: &str = "core-kernel";
/// See [`KERNEL`].
pub const LOADER: &str = "boot-efi";

/// What of a program's source there is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Source {
    /// Lines that are neither blank, nor comment, nor test.
    pub lines: u64,
    /// Blocks, functions and implementations that are `unsafe`.
    pub unsafe_sites: u64,
}

/// A program as it was compiled.
#[derive(Debug, Clone, Default)]
pub struct Made {
    /// The crates that it is linked of, with their versions.
    pub crates: BTreeSet<String>,
    /// Its length.
    pub bytes: u64,
}

/// What was compiled for a system.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every crate.
    pub crates: BTreeMap<String, Source>,
    /// Those of them that are the project's own.
    pub own: BTreeSet<String>,
    /// Every program, by its package.
    pub programs: BTreeMap<String, Made>,
}

/// How much code something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Amount {
    pub lines: u64,
    /// Those of them that are in crates of the project's own.
    pub own_lines: u64,
    pub unsafe_sites: u64,
    pub crates: u64,
    pub bytes: u64,
}

/// Somebody who can read memory of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader<'a> {
    /// The reader's name.
    pub name: &'a str,
    /// What the reader sees, and by what.
    pub what: &'a str,
    /// The programs that all of the memory rests on because of that, if it is all that the reader sees.
    pub programs: Vec<&'a str>,
}

impl Facts {
    /// How much code some programs are together: a crate that several have counts once.
    #[must_use]
    pub fn amount(&self, programs: &BTreeSet<&str>) -> Amount {
        let made = programs.iter().filter_map(|program| self.programs.get(*program));
        let crates: BTreeSet<&String> = made.clone().flat_map(|made| &made.crates).collect();
        let own = crates.iter().filter(|name| self.own.contains(**name));
        let own = own.filter_map(|name| self.crates.get(*name));
        let sources = crates.iter().filter_map(|name| self.crates.get(*name));
        Amount {
            lines: sources.clone().map(|source| source.lines).sum(),
            own_lines: own.map(|source| source.lines).sum(),
            unsafe_sites: sources.map(|source| source.unsafe_sites).sum(),
            crates: crates.len() as u64,
            bytes: made.map(|made| made.bytes).sum(),
        }
    }
}

impl Amount {
    /// The figure that a bound of the manifest is for.
    fn of(self, key: &str) -> u64 {
        match key {
            "lines" => self.lines,
            "unsafe" => self.unsafe_sites,
            "crates" => self.crates,
            _ => self.bytes.div_ceil(1024),
        }
    }
}

/// Who can read memory of a domain, beside the kernel and what built it.
#[must_use]
pub fn readers<'a>(system: &'a System, flows: &'a Flows, domain: DomainId) -> Vec<Reader<'a>> {
    let Some(own) = flows.find(Node::Domain(domain)) else { return Vec::new() };
    let from = flows.flows().iter().filter(|flow| flow.from == own);
    let mut readers: Vec<_> = from.filter_map(|flow| reader(system, flows, domain, flow)).collect();
    readers.dedup();
    readers
}

fn reader<'a>(system: &'a System, flows: &'a Flows, owner: DomainId, flow: &'a Flow) -> Option<Reader<'a>> {
    let programs = match flow.kind {
        Kind::Restart => vec![BUILDER],
        // Memory of what is started on request stays in the builder's hands.
        Kind::Manage
            if system.domain(owner).on_request.is_some() && flows.node_at(flow.to) == Node::Builder =>
        {
            vec![BUILDER]
        }
        Kind::Dma => match flows.node_at(flows.owner(flow.to)?) {
            Node::Domain(owner) => {
                let programs = system.domain(owner).programs();
                programs.map(|program| system.component(program).name.as_str()).collect()
            }
            _ => Vec::new(),
        },
        Kind::Memory | Kind::Loan | Kind::Guest => Vec::new(),
        _ => return None,
    };
    Some(Reader { name: flows.name(flow.to), what: &flow.what, programs })
}

/// The programs that all of a domain's memory rests on, among them each that it can run.
#[must_use]
pub fn rests_on<'a>(system: &'a System, flows: &'a Flows, domain: DomainId) -> BTreeSet<&'a str> {
    let own = system.domain(domain).programs().map(|program| system.component(program).name.as_str());
    let of_readers = readers(system, flows, domain).into_iter().flat_map(|reader| reader.programs);
    of_readers.chain([KERNEL, LOADER, BUILDER]).chain(own).collect()
}

/// Whether a system states how much code something of it may rest on.
#[must_use]
pub fn is_bounded(system: &System) -> bool {
    system.domains().any(|(_, domain)| domain.rests_on_at_most.is_some())
}

/// Judges what a system states of that.
///
/// # Errors
///
/// Each bound that is not kept.
pub fn judge(system: &System, facts: &Facts) -> Result<(), Report> {
    let flows = Flows::new(system);
    let faults = system.domains().flat_map(|(id, domain)| {
        let programs = rests_on(system, &flows, id);
        broken(domain, &programs, facts)
    });
    let faults: Vec<Diagnostic> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(Report::new(system.sources().clone(), faults)) }
}

/// The bounds of a domain that are not kept.
fn broken(domain: &Domain, programs: &BTreeSet<&str>, facts: &Facts) -> Vec<Diagnostic> {
    let amount = facts.amount(programs);
    let bounds = domain.rests_on_at_most.iter().flat_map(|budget| budget.bounds());
    let broken = bounds.filter(|(key, bound)| amount.of(key) > bound.value);
    let fault = |(key, at): (&str, &crate::diagnostic::At<u64>)| {
        let (name, is, bound) = (&domain.name, amount.of(key), at.value);
        let unit = match key {
            "kib" => "KiB of programs",
            "unsafe" => "places that are `unsafe`",
            _ => key,
        };
        let names: Vec<&str> = programs.iter().copied().collect();
        let help = format!(
            "raise `{key}` to {is}, or have less code in {}: `cargo image report --tcb` says what each has",
            names.join(", ")
        );
        let message = format!("the memory of `{name}` rests on {is} {unit}, and at most {bound} are allowed");
        Diagnostic { id: "B010", ..Diagnostic::new(at.span, message).help(help) }
    };
    broken.map(fault).collect()
}
