//! The machine's facts: no two devices share registers, ports or a line.

use cloison_abi::limits::{MAX_INTERRUPT_LINES, MAX_INTERRUPT_MESSAGES, PAGE_BYTES};

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

fn overlaps(what: &str, claims: &[Claim<'_>]) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (place, claim) in claims.iter().enumerate() {
        for other in &claims[..place] {
            let end = claim.first.saturating_add(claim.count);
            let other_end = other.first.saturating_add(other.count);
            if claim.first < other_end && other.first < end {
                let message = format!(
                    "`{}` and `{}` overlap in {what}: {:#x} to {:#x} and {:#x} to {:#x}",
                    claim.device,
                    other.device,
                    claim.first,
                    end.saturating_sub(1),
                    other.first,
                    other_end.saturating_sub(1)
                );
                let fault =
                    Diagnostic::new(claim.at, message).label(other.at, format!("`{}` is here", other.device));
                faults.push(fault.help("correct the platform's file: two domains must not reach one device"));
            }
        }
    }
    faults
}

pub(super) fn irq(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let lines: Vec<(&Device, &IrqLine)> = each(draft, irq_line).collect();
    let mut faults = Vec::new();
    for (place, (device, irq)) in lines.iter().enumerate() {
        let line = irq.line.value;
        if line >= MAX_INTERRUPT_LINES as u64 {
            let message = format!("`{}` has interrupt line {line}, which is too high", device.name.value);
            let help = format!("the kernel knows the lines 0 to {}", MAX_INTERRUPT_LINES - 1);
            faults.push(Diagnostic::new(irq.line.span, message).help(help));
        }
        if let Some((other, first)) = lines[..place].iter().find(|(_, first)| first.line.value == line) {
            let names = (&device.name.value, &other.name.value);
            let message = format!("`{}` and `{}` have one interrupt line, {line}", names.0, names.1);
            let fault = Diagnostic::new(irq.line.span, message).label(first.line.span, "first here");
            faults
                .push(fault.help("a line can be given to one domain only; leave out the irq of one device"));
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
pub(super) fn messages(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let owned = draft.domains.iter().flat_map(|domain| &domain.devices);
    let mut interrupt_by_message =
        owned.filter(|owned| owned.found.is_some_and(|(_, device)| matches!(device.irq, Some(Irq::Message))));
    let Some(first_too_many) = interrupt_by_message.nth(MAX_INTERRUPT_MESSAGES) else { return Vec::new() };
    let count = MAX_INTERRUPT_MESSAGES + 1 + interrupt_by_message.count();
    let message = format!(
        "{count} devices interrupt by messages, the kernel can deliver those of {MAX_INTERRUPT_MESSAGES}"
    );
    let fault = Diagnostic::new(first_too_many.written.span, message).note("the first that does not fit");
    vec![fault.help("give fewer devices; MAX_INTERRUPT_MESSAGES of the ABI crate sets the limit")]
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
