//! The builder (domB in the Xen report): the one domain that can build domains.
//!
//! The kernel starts it with all free memory and all rights. It checks the plan and the digest of every
//! program, builds each domain that the plan names, and gives its rights up. If the plan wants a domain restarted
//! after a fault, or started on request, the builder stays, with that domain and its memory in its slots; else it ends.

#![no_std]
#![no_main]

extern crate alloc;

mod census;
mod kernel;
mod serve;

use builder::{BuildError, Hex, Image, Plan, Site};
use cloison_abi::{
    Name,
    call::{BUILDER_SLOT_CENSUS, BUILDER_SLOT_SHUTDOWN, SystemEnd},
    limits::PAGE_BYTES,
    plan::SYSTEM_PRINT_CENSUS,
};
use cloison_rt::{log, start};
use cloison_sys::{Slot, shutdown, slot_drop, window};

use kernel::Kernel;

/// The right to read the census.
const CENSUS: Slot = Slot(BUILDER_SLOT_CENSUS);
/// The right to end the system.
const SHUTDOWN: Slot = Slot(BUILDER_SLOT_SHUTDOWN);

cloison_rt::entry!(main);

fn main() {
    if let Err(error) = run() {
        log!("error: {error}; nothing is started");
        // If even this is refused, the domains still do not run: the builder's end leaves them stopped.
        let _ = shutdown(SHUTDOWN, SystemEnd::Halt);
    }
}

/// None of the domains runs before all are built, and the builder waits or ends: its priority is the highest.
fn run() -> Result<(), BuildError> {
    let bytes = window::image(start::argument()).ok_or(BuildError::Image("there is no system image"))?;
    let image = Image::open(bytes)?;
    image.check()?;
    let plan = image.plan();
    let domains = 0..plan.domains.len() as u32;
    let mut site = Site::open(Kernel, &image, kernel::free_memory())?;
    domains.clone().try_for_each(|domain| site.build(domain))?;
    introduce(plan);
    site.give_up_rights(CENSUS)?;
    tell_rights(plan);
    if plan.header.flags & SYSTEM_PRINT_CENSUS != 0 {
        census::print();
    }
    // From here on nothing new can be named.
    let _ = slot_drop(CENSUS);
    let at_boot = domains.filter(|domain| !plan.is_on_request(*domain));
    at_boot.into_iter().try_for_each(|domain| site.start(domain))?;
    serve::serve(plan, &mut site);
    Ok(())
}

/// Says what was built: each domain with its memory and the start of its program's digest, each other program that a domain
/// can be started with, and each file with all of its digest, to be compared with what its author says.
fn introduce(plan: &Plan<'_>) {
    log!("system {}: {} domains built", plan.header.system, plan.domains.len());
    for (domain, entry) in (0..).zip(plan.domains) {
        let kib = plan.own_pages(domain, entry) * PAGE_BYTES / 1024;
        let priority = plan.first_thread(domain).map_or(0, |thread| thread.priority);
        let digest = Hex(&entry.digest[..8]);
        log!("  {:<16} {kib:>6} KiB, priority {priority:>2}, program {digest}...", entry.name);
    }
    for other in plan.programs {
        let Some(image) = plan.images.get(other.image as usize) else { continue };
        let domain = plan.domain(image.domain).map_or(Name::EMPTY, |entry| entry.name);
        log!("  {domain} or {}: program {}...", image.name, Hex(&other.digest[..8]));
    }
    for file in plan.files {
        let name = plan.regions.get(file.region as usize).map_or(Name::EMPTY, |region| region.name);
        log!("file {name}: {} bytes, SHA-256 {}", file.image_bytes, Hex(&file.digest));
    }
}

fn tell_rights(plan: &Plan<'_>) {
    log!("rights dropped: builder right, shutdown right, free memory");
    let kept = (0..).zip(plan.domains).filter(|(domain, _)| plan.is_restarted(*domain));
    let names = census::list(kept.map(|(_, entry)| entry.name.as_str()));
    if !names.is_empty() {
        log!("rights kept, to restart after a fault: {names}");
    }
    let on_request = (0..).zip(plan.domains).filter(|(domain, _)| plan.is_on_request(*domain));
    let names = census::list(on_request.map(|(_, entry)| entry.name.as_str()));
    if !names.is_empty() {
        let kib = u64::from(plan.header.budget_pages) * PAGE_BYTES / 1024;
        log!("rights kept, to start on request, with {kib} KiB for all: {names}");
    }
}
