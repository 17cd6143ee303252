//! A system for a person to review: who there is, who can talk to whom, who owns what, who has a port on which
//! switch, and, once it is built, what lies where and with which digest.
//!
//! Reviewers compare two reports, not two images.

mod built;
mod disks;
mod operations;
mod policy;
mod switches;
mod trust;

pub use operations::operations_table;
pub use trust::trust;

use cloison_abi::ObjectKind;

use crate::manifest::Irq;
use crate::plan::Plan;
use crate::system::{Domain, DomainId, FileId, GateUse, Guarantee, Offer, OnFault, PAGES_IN_MIB, System};
use crate::table::Table;
use crate::workspace::BUILDER;

/// Describes a system. With its plan and its image: addresses, memory and digests too.
#[must_use]
pub fn report(system: &System, built: Option<(&Plan, &[u8])>) -> String {
    let mut text = heading(system);
    text += &domains(system);
    text += &calls(system);
    text += &other_ways(system);
    text += &policy::policy(system);
    text += &switches::switches(system);
    text += &switches::forwards(system);
    text += &devices(system);
    text += &disks::disks(system);
    text += &guests(system);
    text += &rights(system);
    if let Some((plan, image)) = built {
        text += &built::memory(system, plan);
        text += &built::address_spaces(system, plan);
        text += &built::threads(system);
        text += &built::slots(system, plan);
        text += &built::regions(system, plan);
        text += &built::digests(system, plan, image);
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn heading(system: &System) -> String {
    let platform = system.platform();
    let end = match system.ends_with() {
        Some(domain) => format!("ends with {domain}"),
        None => "runs until it is stopped".to_owned(),
    };
    format!(
        "system {}: {} domains and the builder on {}, {} MiB; {end}\n\n",
        system.name(),
        system.domains.len(),
        platform.name,
        platform.memory_mib
    )
}

fn domains(system: &System) -> String {
    let mut table = Table::new([
        "name",
        "component",
        ">priority",
        "budget",
        ">sure of",
        ">waits at most",
        "on fault",
        "what it is",
    ]);
    for ((_, domain), sure) in system.domains().zip(system.guarantees()) {
        let component = system.component(domain.component);
        let programs = domain.programs().map(|program| system.component(program).name.as_str());
        let programs = programs.collect::<Vec<_>>().join(" or ");
        let cells = [&domain.name, &programs, &domain.priority.to_string(), &budget(domain)];
        let [name, component_name, priority, budget] = cells.map(Clone::clone);
        let (share, wait) = guarantee(sure);
        let fault = on_fault(system, domain);
        let summary = component.summary.value.clone();
        table.row([name, component_name, priority, budget, share, wait, fault, summary]);
    }
    table.render("Domains")
}

fn budget(domain: &Domain) -> String {
    match (domain.budget.budget_us, domain.budget.period_us) {
        (_, 0) => "no limit".to_owned(),
        (budget, period) => format!("{budget} of {period} µs"),
    }
}

/// What a domain is sure of, whatever the others do: its share, and its longest wait.
fn guarantee(sure: Guarantee) -> (String, String) {
    let share = match sure.share {
        0 => "nothing".to_owned(),
        share => format!("{:.1} %", share as f64 / 10_000.0),
    };
    (share, sure.wait_us.map_or("for ever".to_owned(), |us| format!("{:.2} ms", us as f64 / 1000.0)))
}

fn on_fault(system: &System, domain: &Domain) -> String {
    match domain.on_fault {
        OnFault::Stop => "it stops".to_owned(),
        OnFault::Halt => "all halts".to_owned(),
        OnFault::Restart => "restarted".to_owned(),
        OnFault::Handler(handler) => format!("{} decides", system.domain(handler).name),
    }
}

fn calls(system: &System) -> String {
    let mut table = Table::new(["client", "", "server", "gate", "as", "they share", "events", "option"]);
    for (id, domain) in system.domains() {
        for gate_use in &domain.uses {
            let offer = system.offer(gate_use);
            table.row([
                domain.name.clone(),
                "→".to_owned(),
                system.domain(gate_use.server).name.clone(),
                offer.name.value.clone(),
                gate_use.local.clone(),
                memory(offer),
                events(system, id, gate_use),
                offer.unpacked(gate_use.option).join(", "),
            ]);
        }
    }
    table.render("Who can talk to whom")
}

/// What gets from one to another beside gates, and what they share.
fn other_ways(system: &System) -> String {
    let mut table = Table::new(["from", "", "to", "how"]);
    let mut row = |from: &str, to: &str, how: &str| {
        table.row([from.to_owned(), "→".to_owned(), to.to_owned(), how.to_owned()]);
    };
    for (_, domain) in system.domains() {
        match domain.on_fault {
            OnFault::Restart => row(
                BUILDER,
                &domain.name,
                "to restart it: is told its faults, reads and writes its memory, starts it",
            ),
            OnFault::Handler(handler) => {
                let how = "to handle its faults: is told them, stops it, starts it with a number";
                row(&system.domain(handler).name, &domain.name, how);
            }
            OnFault::Stop | OnFault::Halt => {}
        }
        if domain.on_request.is_some() {
            let how =
                "to start it on request: is told its end, reads and writes its memory, starts and ends it";
            row(BUILDER, &domain.name, how);
        }
        for right in &domain.rights {
            match right.value.0 {
                ObjectKind::ManageRight => {
                    row(
                        &domain.name,
                        BUILDER,
                        "which domain is to start or end; is told how each of them is",
                    );
                }
                ObjectKind::LogRight => row("everyone", &domain.name, "lines to the kernel's log"),
                ObjectKind::CensusRight => {
                    row("everyone", &domain.name, "what it holds, and how much of the kernel's tables");
                }
                _ => {}
            }
        }
    }
    table.render("Other ways from one to another; there are no more")
}

fn memory(offer: &Offer) -> String {
    match offer.one_way_pages {
        0 => count(offer.shared_pages, "page"),
        pages => format!("{} each way", count(pages, "page")),
    }
}

fn events(system: &System, client: DomainId, gate_use: &GateUse) -> String {
    let offer = system.offer(gate_use);
    let (client, server) = (&system.domain(client).name, &system.domain(gate_use.server).name);
    match (offer.signals_client, offer.signals_server) {
        (false, false) => String::new(),
        (true, false) => format!("to {client}"),
        (false, true) => format!("to {server}"),
        (true, true) => "both ways".to_owned(),
    }
}

/// Each device as the one object that it is.
fn devices(system: &System) -> String {
    let heads =
        ["device", "class", "owner", "as", "PCI", "memory", "ports", "interrupt", "reads and writes memory"];
    let mut table = Table::new(heads);
    for (place, device) in system.platform().devices.iter().enumerate() {
        let owned =
            system.domains().flat_map(|(_, domain)| domain.devices.iter().map(move |owned| (domain, owned)));
        let owner = owned.into_iter().find(|(_, owned)| owned.device.0 == place);
        let areas = device.memory.iter().map(|memory| {
            let (address, bytes) = (memory.address.value, memory.bytes.value);
            format!("{address:#x} to {:#x}", address + bytes - 1)
        });
        let memory = areas.collect::<Vec<_>>().join(", ");
        let ports = device.ports.as_ref().map_or(String::new(), |ports| {
            let (first, count) = (ports.first.value, ports.count.value);
            format!("{first:#x} to {:#x}", first + count - 1)
        });
        table.row([
            device.name.value.clone(),
            device.class.value.clone(),
            owner.map_or("nobody".to_owned(), |(domain, _)| domain.name.clone()),
            owner.map_or(String::new(), |(_, owned)| owned.local.clone()),
            device.pci.as_ref().map_or(String::new(), |function| function.value.to_string()),
            memory,
            ports,
            device.irq.as_ref().map_or(String::new(), |irq| match irq {
                Irq::Line(line) => format!("line {}", line.line.value),
                Irq::Message => "message".to_owned(),
            }),
            owner.map_or(String::new(), |(domain, _)| dma(system, domain)),
        ]);
    }
    table.render("Devices")
}

/// The memory of a domain that its devices may read and write by themselves.
fn dma(system: &System, domain: &Domain) -> String {
    let regions = system.component(domain.component).regions.iter().filter(|region| region.is_dma);
    regions.map(|region| region.local.value.as_str()).collect::<Vec<_>>().join(", ")
}

/// What each guest is, and begins with.
fn guests(system: &System) -> String {
    let heads = ["guest of", ">MiB", ">pages it shares", "kernel", "initramfs", "command line"];
    let mut table = Table::new(heads);
    let name = |file: FileId| system.files[file.0].name.as_str();
    for (_, domain) in system.domains() {
        let Some(guest) = &domain.guest else { continue };
        table.row([
            domain.name.clone(),
            (guest.sizes.ram / PAGES_IN_MIB).to_string(),
            guest.sizes.shared.to_string(),
            guest.kernels().map(name).collect::<Vec<_>>().join(" or "),
            guest.initramfs.map_or("", name).to_owned(),
            guest.cmdline.clone(),
        ]);
    }
    table.render("Guests")
}

fn rights(system: &System) -> String {
    let mut table = Table::new(["right", "held by"]);
    for (_, domain) in system.domains() {
        for right in &domain.rights {
            table.row([right.value.name().to_owned(), domain.name.clone()]);
        }
    }
    table.render("Rights")
}

/// "1 page", "2 pages", nothing for none.
fn count(number: u64, noun: &str) -> String {
    match number {
        0 => String::new(),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
