//! The machine's facts: no two devices share registers, ports or a line.

use std::collections::HashMap;

use cloison_abi::PciFunction;
use cloison_abi::limits::{MAX_INTERRUPT_LINES, MAX_INTERRUPTS, PAGE_BYTES};

use crate::diagnostic::{At, Diagnostic, Span};
use crate::manifest::{Device, DeviceMemory, Irq, IrqLine};
use crate::system::Draft;

/// Last physical address that page tables can name, and one more.
const PHYSICAL_END: u64 = 1 << 52;
/// Ports that there are.
const PORTS_END: u64 = 1 << 16;

/// A run of addresses or ports that a device has.
struct Claim<'a> {
    device: &'a str,
    at: Span,
    first: u64,
    count: u64,
}

impl<'a> Claim<'a> {
    fn new(device: &'a Device, first: &At<u64>, count: &At<u64>) -> Self {
        Self { device: &device.name.value, at: first.span, first: first.value, count: count.value }
    }

    fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

pub(super) fn memory_overlap(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let claims: Vec<_> = each(draft, |device| &device.memory)
        .map(|(device, memory)| Claim::new(device, &memory.address, &memory.bytes))
        .collect();
    overlaps("memory", &claims)
}

pub(super) fn port_overlap(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let claims: Vec<_> = each(draft, |device| &device.ports)
        .map(|(device, ports)| Claim::new(device, &ports.first, &ports.count))
        .collect();
    let mut faults = overlaps("ports", &claims);
    for claim in &claims {
        if claim.count == 0 || claim.first.saturating_add(claim.count) > PORTS_END {
            let message =
                format!("`{}` cannot have {} ports from {:#x} on", claim.device, claim.count, claim.first);
            faults.push(Diagnostic::new(claim.at, message).help("give one port or more, all below 0x10000"));
        }
    }
    faults
}

/// Each claim against those that begin before it and reach furthest: a claim that overlaps one overlaps that.
fn overlaps(what: &str, claims: &[Claim<'_>]) -> Vec<Diagnostic> {
    let mut sorted: Vec<&Claim<'_>> = claims.iter().filter(|claim| claim.count > 0).collect();
    sorted.sort_by_key(|claim| (claim.first, claim.at));
    let mut furthest: Option<&Claim<'_>> = None;
    let mut faults = Vec::new();
    for claim in sorted {
        if let Some(other) = furthest.filter(|other| claim.first < other.end()) {
            faults.push(overlap(what, claim, other));
        }
        if furthest.is_none_or(|other| claim.end() > other.end()) {
            furthest = Some(claim);
        }
    }
    faults
}

/// The fault is where the second of the two is written.
fn overlap(what: &str, a: &Claim<'_>, b: &Claim<'_>) -> Diagnostic {
    let (claim, other) = if a.at > b.at { (a, b) } else { (b, a) };
    let range = |claim: &Claim<'_>| format!("{:#x} to {:#x}", claim.first, claim.end() - 1);
    let names = format!("`{}` and `{}`", claim.device, other.device);
    let message = format!("{names} overlap in {what}: {} and {}", range(claim), range(other));
    let fault = Diagnostic::new(claim.at, message).label(other.at, format!("`{}` is here", other.device));
    fault.help("correct the platform's file: two domains must not reach one device")
}

pub(super) fn irq(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut first_with: HashMap<u64, (&Device, &IrqLine)> = HashMap::new();
    let mut faults = Vec::new();
    for (device, irq) in each(draft, irq_line) {
        let line = irq.line.value;
        if line >= MAX_INTERRUPT_LINES.into() {
            let message = format!("`{}` has interrupt line {line}, which is too high", device.name.value);
            let help = format!("an I/O APIC has the lines 0 to {} at most", MAX_INTERRUPT_LINES - 1);
            faults.push(Diagnostic::new(irq.line.span, message).help(help));
        } else if let Some((other, first)) = first_with.get(&line) {
            let names = (&device.name.value, &other.name.value);
            let message = format!("`{}` and `{}` have one interrupt line, {line}", names.0, names.1);
            let fault = Diagnostic::new(irq.line.span, message).label(first.line.span, "first here");
            faults
                .push(fault.help("a line can be given to one domain only; leave out the irq of one device"));
        } else {
            first_with.insert(line, (device, irq));
        }
    }
    faults
}

fn irq_line(device: &Device) -> Option<&IrqLine> {
    match device.irq.as_ref()? {
        Irq::Line(line) => Some(line),
        Irq::Message => None,
    }
}

/// Only devices that somebody owns take one.
pub(super) fn interrupts(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let owned = draft.domains.iter().flat_map(|domain| &domain.devices);
    let mut interrupting = owned.filter(|owned| owned.found.is_some_and(|(_, device)| device.irq.is_some()));
    let Some(first_too_many) = interrupting.nth(MAX_INTERRUPTS) else { return Vec::new() };
    let count = MAX_INTERRUPTS + 1 + interrupting.count();
    let message = format!("{count} devices interrupt, the kernel can deliver {MAX_INTERRUPTS} interrupts");
    let fault = Diagnostic::new(first_too_many.written.span, message).note("the first that does not fit");
    vec![fault.help("give fewer devices; MAX_INTERRUPTS of the ABI crate sets the limit")]
}

/// Two devices with one function are one device.
pub(super) fn pci_functions(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut first_with: HashMap<PciFunction, (&Device, Span)> = HashMap::new();
    let mut faults = Vec::new();
    for (device, function) in each(draft, |device| &device.pci) {
        match first_with.get(&function.value) {
            Some((other, first)) => {
                let names = (&device.name.value, &other.name.value);
                let message = format!("`{}` and `{}` are one PCI function", names.0, names.1);
                let fault = Diagnostic::new(function.span, message).label(*first, "first here");
                let help = "correct the platform's file: two domains must not reach one device";
                faults.push(fault.help(help));
            }
            None => drop(first_with.insert(function.value, (device, function.span))),
        }
    }
    faults
}

pub(super) fn page_alignment(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (device, DeviceMemory { address, bytes }) in each(draft, |device| &device.memory) {
        let is_whole = address.value.is_multiple_of(PAGE_BYTES) && bytes.value.is_multiple_of(PAGE_BYTES);
        let is_there = bytes.value != 0 && address.value.saturating_add(bytes.value) <= PHYSICAL_END;
        if is_whole && is_there && address.value != 0 {
            continue;
        }
        let message = format!(
            "the memory of `{}`, {:#x} bytes at {:#x}, is not whole pages of the machine",
            device.name.value, bytes.value, address.value
        );
        let fault = Diagnostic::new(address.span, message).label(bytes.span, "its length");
        let help = "give multiples of 0x1000: the kernel keeps domains apart by pages";
        faults.push(fault.help(help));
    }
    faults
}

/// Each device with each of its parts of a kind.
fn each<'a, P: IntoIterator>(
    draft: &Draft<'a>,
    parts: impl Fn(&'a Device) -> P,
) -> impl Iterator<Item = (&'a Device, P::Item)> {
    let devices = draft.platform.into_iter().flat_map(|platform| &platform.devices);
    devices.flat_map(move |device| parts(device).into_iter().map(move |part| (device, part)))
}
