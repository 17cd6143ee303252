//! Who extends the TPM's registers while the system runs.

use cloison_abi::measure::PCR_LATER;

use crate::diagnostic::{At, Diagnostic, Span};
use crate::manifest::Offer;
use crate::system::{Draft, DraftDomain, DraftGateUse};

/// The gate by which what is started is measured, and the TPM service's with its option.
const RECORD_GATE: &str = "record";
const TPM_GATE: &str = "tpm";
const REGISTERS: &str = "registers";
/// Registers that nobody can set back while the machine is on.
const LASTING: u64 = 0xffff;

pub(super) fn reserved_gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let Some(component) = domain.component else { continue };
        for gate_use in domain.uses.iter().filter(|gate_use| gate_use.is_needed && gate_use.is_known) {
            let Some((_, offer)) = gate_use.offer else { continue };
            let needs = |right: &At<String>| component.rights.iter().any(|need| need.value == right.value);
            let Some(first) = offer.only_with.first().filter(|_| !offer.only_with.iter().any(needs)) else {
                continue;
            };
            let (name, gate) = (&domain.table.name.value, &offer.name.value);
            let message = format!("the domain `{name}` may not use the gate `{gate}`");
            let rights: Vec<_> = offer.only_with.iter().map(|right| format!("`{}`", right.value)).collect();
            let fault = Diagnostic::new(gate_use.table.local.span, message)
                .label(first.span, "who may is stated here");
            faults.push(fault.help(format!("it is for a domain with the right {}", rights.join(" or "))));
        }
    }
    faults
}

/// A client of a TPM service, the registers that it may extend, and where that is stated.
struct Client<'d> {
    name: &'d str,
    server: usize,
    registers: u64,
    at: Span,
}

fn clients<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = Client<'d>> {
    let uses = draft.domains.iter().flat_map(|domain| domain.uses.iter().map(move |its| (domain, its)));
    uses.filter_map(|(domain, gate_use)| client(domain, gate_use))
}

fn client<'d>(domain: &'d DraftDomain<'_>, gate_use: &'d DraftGateUse<'_>) -> Option<Client<'d>> {
    let (_, offer) = gate_use.offer.filter(|(_, offer)| offer.name.value == TPM_GATE)?;
    let (registers, stated) = registers(offer, gate_use)?;
    let at = stated.unwrap_or(gate_use.table.local.span);
    Some(Client { name: &domain.table.name.value, server: gate_use.server?, registers, at })
}

fn registers(offer: &Offer, gate_use: &DraftGateUse<'_>) -> Option<(u64, Option<Span>)> {
    let given = &gate_use.table.options;
    let stated = given.iter().find(|(name, _)| name.value == REGISTERS).map(|(_, value)| value.span);
    Some((offer.value(REGISTERS, given)?, stated))
}

/// A log that one keeps says nothing of what another one extends.
pub(super) fn shared_registers(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut before: Vec<Client<'_>> = Vec::new();
    for client in clients(draft) {
        let shared = |other: &&Client<'_>| {
            other.server == client.server && other.registers & client.registers & LASTING != 0
        };
        if let Some(other) = before.iter().find(shared) {
            let register = (other.registers & client.registers & LASTING).trailing_zeros();
            let message =
                format!("`{}` and `{}` can both extend register {register}", other.name, client.name);
            let fault = Diagnostic::new(client.at, message).label(other.at, "the first");
            faults.push(fault.help("let one domain extend it, and keep the log of that"));
        }
        before.push(client);
    }
    faults
}

/// What is started would be refused, each time.
pub(super) fn without_register(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for gate_use in draft.domains.iter().flat_map(|domain| &domain.uses) {
        let is_record = gate_use.offer.is_some_and(|(_, offer)| offer.name.value == RECORD_GATE);
        let Some(server) = gate_use.server.filter(|_| is_record && gate_use.is_known) else { continue };
        let measurer = &draft.domains[server];
        let has = |client: &Client<'_>| client.registers & 1 << PCR_LATER != 0;
        let mut own = measurer.uses.iter().filter_map(|its| client(measurer, its));
        if let Some(client) = own.next().filter(|first| !has(first) && !own.any(|other| has(&other))) {
            let message = format!("`{}` is to extend register {PCR_LATER}, and may not", client.name);
            let fault = Diagnostic::new(client.at, message).label(gate_use.table.from.span, "it has to here");
            let bits = client.registers | 1 << PCR_LATER;
            faults.push(fault.help(format!("write `{REGISTERS} = {bits:#x}` for it")));
        }
    }
    faults
}
