//! The policy of a system as text: who may reach whom, and by what.
//!
//! Two systems have the same policy, byte for byte, if they let the same flow between domains of the same names; what
//! their manifests are called, and in which order they state it, does not show. Names of programs and their digests are no
//! part of it, nor are memory and time; but where a domain can be started with one of several, it says with which.

use cloison_abi::access::Class;
use cloison_abi::image::Digest;
use cloison_abi::policy::FIRST_POLICY;

use crate::digest::digest;
use crate::flow::Flows;
use crate::manifest::{Device, Irq};
use crate::system::{Domain, DomainId, System};

/// The first line, which says how the others are to be read.
const HEAD: &str = "cloison policy 1";

/// The policy, a line for each thing that is allowed, sorted.
#[must_use]
pub fn policy(system: &System) -> String {
    let mut lines = flows(system);
    lines.extend(rules(system));
    for (id, domain) in system.domains() {
        lines.extend(uses(system, id));
        lines.extend(images(system, domain));
        lines.extend(
            domain.rights.iter().map(|right| format!("{} holds {}", domain.name, right.value.name())),
        );
        let devices = domain.devices.iter().map(|owned| system.device(owned.device));
        lines.extend(devices.map(|device| format!("{} owns {}", domain.name, resources(device))));
    }
    lines.sort_unstable();
    format!("{HEAD}\n{}\n", lines.join("\n"))
}

/// The digest of the policy.
#[must_use]
pub fn policy_digest(system: &System) -> Digest {
    digest(policy(system).as_bytes())
}

/// What may flow. What devices could do beyond that is the same in each system.
fn flows(system: &System) -> Vec<String> {
    let flows = Flows::new(system);
    let allowed = flows.flows().iter().filter(|flow| !flow.is_hostile);
    let line = |flow: &crate::flow::Flow| {
        format!(
            "{} tells {} by {}: {}",
            flows.name(flow.from),
            flows.name(flow.to),
            flow.kind.name(),
            flow.what
        )
    };
    allowed.map(line).collect()
}

/// Who decides while the system runs, and what it may allow.
fn rules(system: &System) -> Vec<String> {
    let Some(policy) = system.policy() else { return Vec::new() };
    let mut lines = vec![format!("{} decides", system.domain(policy.monitor).name)];
    for ((_, domain), (kind, is_judged)) in system.domains().zip(&policy.domains) {
        let judged = if *is_judged { "judged" } else { "exempt" };
        lines.push(format!("{} is of type {}, {judged}", domain.name, policy.types[*kind]));
    }
    for part in &policy.parts {
        let under = if part.name == FIRST_POLICY { String::new() } else { format!("under {}: ", part.name) };
        for rule in &part.rules {
            let classes = Class::ALL.into_iter().filter(|class| rule.may.contains(class.bit()));
            let names: Vec<_> = classes.map(Class::name).collect();
            let [from, to] = [rule.from, rule.to].map(|kind| &policy.types[kind]);
            lines.push(format!("{under}{from} may {} {to}", names.join(", ")));
        }
        for wall in &part.walls {
            let mut between: Vec<_> = wall.between.iter().map(|kind| policy.types[*kind].as_str()).collect();
            between.sort_unstable();
            lines.push(format!("{under}wall {} between {}", wall.name, between.join(", ")));
        }
    }
    lines
}

/// With what a domain can be started, if that is chosen while the system runs: programs, or kernels of its guest.
fn images(system: &System, domain: &Domain) -> Vec<String> {
    let images = domain.image_names(system);
    let images = images.iter().filter(|_| images.len() > 1);
    images.map(|image| format!("{} can be started with {image}", domain.name)).collect()
}

/// What the manifest fixes of each gate, and how much memory goes with it.
fn uses(system: &System, client: DomainId) -> impl Iterator<Item = String> {
    let domain = system.domain(client);
    domain.uses.iter().map(|gate_use| {
        let offer = system.offer(gate_use);
        let options = offer.unpacked(gate_use.option).into_iter().map(|option| format!(", {option}"));
        format!(
            "{} uses {} of {} as {}: {} pages{}",
            domain.name,
            offer.name.value,
            system.domain(gate_use.server).name,
            gate_use.local,
            offer.region_pages(),
            options.collect::<String>()
        )
    })
}

/// A device with all that belongs to it.
fn resources(device: &Device) -> String {
    let mut text = format!("{}, {}", device.name.value, device.class.value);
    if let Some(function) = &device.pci {
        text += &format!(", pci {}", function.value);
    }
    for memory in &device.memory {
        text += &format!(", memory {:#x} {:#x}", memory.address.value, memory.bytes.value);
    }
    if let Some(ports) = &device.ports {
        text += &format!(", ports {:#x} {}", ports.first.value, ports.count.value);
    }
    match &device.irq {
        Some(Irq::Line(line)) => text + &format!(", line {}", line.line.value),
        Some(Irq::Message) => text + ", message",
        None => text,
    }
}
