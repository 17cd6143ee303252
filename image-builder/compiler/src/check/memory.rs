//! Stacks, heaps, regions, and all of them against the machine's memory.

use cloison_abi::limits::PAGE_BYTES;

use crate::diagnostic::{At, Diagnostic, Span};
use crate::manifest::Lookup;
use crate::plan::page_count;
use crate::system::{Draft, DraftDomain, MAX_MEMORY_KIB, PAGES_IN_MIB, pages, settings};

/// Memory that is not the domains', beside the image: what firmware, kernel and builder have. Of 8 MiB,
/// 6.4 are left.
pub(super) const RESERVED_MIB: u64 = 2;
/// Largest region that a component can ask for, in pages.
const MAX_REGION_PAGES: u64 = MAX_MEMORY_KIB * 1024 / PAGE_BYTES;

pub(super) fn stack_and_heap(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let (Some(component), table) = (domain.component, domain.table) else { continue };
        let stack = size(&table.stack_kib, component.stack_kib, component.summary.span);
        let heap = size(&table.heap_kib, component.heap_kib, component.summary.span);
        let name = &table.name.value;
        if stack.value == 0 {
            let fault = Diagnostic::new(stack.span, format!("the stack of `{name}` has no memory"));
            faults.push(fault.help(match component.stack_kib {
                0 => format!("give a `stack_kib` from 4 to {MAX_MEMORY_KIB}"),
                _ => format!("give a `stack_kib` from 4 to {MAX_MEMORY_KIB}, or leave it out"),
            }));
        }
        for (what, size) in [("stack", stack), ("heap", heap)] {
            if size.value > MAX_MEMORY_KIB {
                let message = format!("the {what} of `{name}` is too large: {} KiB", size.value);
                faults.push(
                    Diagnostic::new(size.span, message).help(format!("give at most {MAX_MEMORY_KIB} KiB")),
                );
            }
        }
    }
    faults
}

/// The manifest's figure, or else the component's, with its place.
fn size(stated: &Option<At<u64>>, default: u64, component: Span) -> At<u64> {
    stated.clone().unwrap_or(At { value: default, span: component })
}

pub(super) fn regions(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let components = draft.inputs.components.values().filter_map(Lookup::found);
    let regions = components.flat_map(|component| {
        let own = component.regions.iter().map(|region| (&region.local, region.pages.value, 1));
        let shared = component.offers.iter().map(|offer| (&offer.name, offer.shared_pages, 0));
        let one_way = component.offers.iter().map(|offer| (&offer.name, offer.one_way_pages, 0));
        own.chain(shared).chain(one_way)
    });
    let guests = draft.inputs.components.values().filter_map(|component| component.found()?.guest.as_ref());
    let guests = guests.filter(|guest| guest.shared_pages.value > MAX_REGION_PAGES).map(|guest| {
        let pages = &guest.shared_pages;
        let message = format!("a guest cannot share {} pages", pages.value);
        Diagnostic::new(pages.span, message).help(format!("give a number from 0 to {MAX_REGION_PAGES}"))
    });
    let wrong = regions.filter(|(_, pages, least)| pages < least || *pages > MAX_REGION_PAGES);
    let faults = wrong.map(|(name, pages, least)| {
        let fault =
            Diagnostic::new(name.span, format!("the region of `{}` cannot have {pages} pages", name.value));
        fault.help(format!("give a number from {least} to {MAX_REGION_PAGES}"))
    });
    faults.chain(guests).collect()
}

/// One entry of the information page tells of one of the two.
pub(super) fn two_kinds(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let components = draft.inputs.components.values().filter_map(Lookup::found);
    let offers = components.flat_map(|component| &component.offers);
    let wrong = offers.filter(|offer| offer.shared_pages > 0 && offer.one_way_pages > 0);
    let faults = wrong.map(|offer| {
        let message = format!(
            "the gate `{}` has {} pages that both sides write and {} that one side writes",
            offer.name.value, offer.shared_pages, offer.one_way_pages
        );
        Diagnostic::new(offer.name.span, message).help("leave out shared_pages or one_way_pages")
    });
    faults.collect()
}

/// Judges by what the manifest says; [`super::plan`] judges again when the size of the programs is known.
pub(super) fn machine(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform else { return Vec::new() };
    // How much the machine has cannot be told.
    if draft.inputs.spoiled.contains(draft.inputs.manifest.start.source, "system.memory_mib") {
        return Vec::new();
    }
    let domains = draft.domains.iter().zip(settings(draft));
    // What is started on request has its memory of the budget, but for what its guest has beside its own.
    let beside = |domain: &DraftDomain<'_>| {
        domain.guest_sizes().map_or(0, |sizes| sizes.total().saturating_sub(sizes.ram))
    };
    let pages = |(domain, settings): (&DraftDomain<'_>, _)| match domain.table.on_request() {
        None => pages_of(domain, settings),
        Some(_) => beside(domain),
    };
    let needs: Vec<u64> = domains.map(pages).collect();
    let budget = draft.inputs.manifest.budget_mib().saturating_mul(PAGES_IN_MIB);
    let needed = needs.iter().fold(budget, |sum, pages| sum.saturating_add(*pages));
    // A file lies in the image, and in memory that domains see.
    let files = draft.file_pages();
    let mib_of = |pages: u64| pages.saturating_mul(PAGE_BYTES).div_ceil(1 << 20);
    let (mib, image) = (mib_of(needed.saturating_add(files)), mib_of(files));
    let available = platform.memory_mib.saturating_sub(RESERVED_MIB + image);
    let in_image = if image > 0 { format!(", {image} the image's") } else { String::new() };
    let largest = needs.iter().enumerate().max_by_key(|(place, pages)| (**pages, usize::MAX - place));
    let Some((place, _)) = largest.filter(|_| mib > available) else { return Vec::new() };
    let name = &draft.domains[place].table.name;
    let (machine, size) = (&platform.name, platform.memory_mib);
    let message = match platform.asked() {
        None => format!(
            "the domains need {mib} MiB; the platform `{machine}` has {available} MiB for them, {RESERVED_MIB} of \
             its {size} are the kernel's{in_image}"
        ),
        Some((asked, stated)) => format!(
            "the domains need {mib} MiB; {asked} leaves {available} MiB for them, {RESERVED_MIB} are the \
             kernel's{in_image} (the platform `{machine}` has {stated})"
        ),
    };
    vec![Diagnostic::new(name.span, message).note("this one needs most").help(format!(
        "give less {}, or raise {}",
        spendable(draft),
        platform.memory_key()
    ))]
}

/// What can be given less.
fn spendable(draft: &Draft<'_>) -> &'static str {
    let has_guests = draft.domains.iter().any(|domain| domain.guest_sizes().is_some());
    if has_guests { "stack or heap, or less memory to a guest" } else { "stack or heap" }
}

fn pages_of(domain: &DraftDomain<'_>, settings: [usize; 6]) -> u64 {
    let Some(component) = domain.component else { return 0 };
    let kib = |stated: &Option<At<u64>>, default| stated.as_ref().map_or(default, |kib| kib.value);
    let stack = kib(&domain.table.stack_kib, component.stack_kib).min(u64::MAX >> 10);
    let heap = kib(&domain.table.heap_kib, component.heap_kib).min(u64::MAX >> 10);
    let shared = domain.uses.iter().filter_map(|gate_use| Some(gate_use.offer?.1.region_pages()));
    let own = component.regions.iter().map(|region| region.pages.value);
    let settings = page_count(settings.iter().sum::<usize>() as u64);
    let guest = domain.guest_sizes().map_or(0, |sizes| sizes.total());
    shared
        .chain(own)
        .chain([settings, guest])
        .fold(pages(stack).saturating_add(pages(heap)), u64::saturating_add)
}
