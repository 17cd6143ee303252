//! From a draft in which no check found a fault to the system.

use std::path::PathBuf;

use cloison_abi::limits::PAGE_BYTES;

use super::{
    Assertion, Budget, ComponentId, DeviceId, Disk, Domain, DomainId, Draft, DraftDomain, DraftGateUse,
    DraftSwitch, File, FileId, Forward, GateId, GateUse, Guest, GuestSizes, Management, Named, OnFault,
    Owned, PAGES_IN_MIB, Right, Stated, StatedBudget, System, budgets, priorities,
};
use crate::diagnostic::{At, Span};
use crate::manifest::{AssertTable, Component, DomainTable};
use crate::workspace::BUILDER;

/// Largest stack or heap that a manifest can ask for. Image, stack and heap have to fit below
/// [`crate::plan::SHARED_ADDRESS`].
pub(crate) const MAX_MEMORY_KIB: u64 = 64 * 1024;

impl System {
    /// Makes the system. `None` if a name leads nowhere, which the checks have ruled out.
    pub(crate) fn resolve(draft: &Draft<'_>) -> Option<Self> {
        let inputs = draft.inputs;
        let components = components(draft)?;
        let folder = |component: &Component| inputs.workspace.component_folder(&component.name);
        let folders: Option<Vec<PathBuf>> = components.iter().map(folder).collect();
        let priorities = draft.priorities();
        let budgets = draft.budgets(&priorities);
        let domains = draft.domains.iter().zip(priorities.into_iter().zip(budgets));
        let files: Vec<&str> = draft.guest_files();
        let domains = domains.map(|(domain, title)| resolve_domain(domain, &components, title, &files));
        Some(Self {
            sources: inputs.sources.clone(),
            name: inputs.manifest.name.as_ref()?.value.clone(),
            addition: inputs.addition,
            manifest_digest: inputs.digest,
            platform: draft.platform?.clone(),
            domains: domains.collect::<Option<_>>()?,
            files: files.iter().map(|name| File::new(name, inputs.guest_files.get(*name))).collect(),
            asserts: inputs.manifest.asserts.iter().map(resolve_assertion).collect::<Option<_>>()?,
            switches: draft.switches.iter().map(DraftSwitch::resolve).collect::<Option<_>>()?,
            disks: draft.disks.iter().map(|disk| Disk::resolve(draft, disk)).collect::<Option<_>>()?,
            forwards: draft.forwards.iter().map(Forward::resolve).collect::<Option<_>>()?,
            ends_with: match draft.ends_with {
                Some(named) => Some(DomainId(named.found?)),
                None => None,
            },
            has_census: inputs.manifest.has_census,
            budget_pages: inputs.manifest.budget_mib().saturating_mul(PAGES_IN_MIB),
            management: Management::resolve(draft)?,
            policy: match draft.policy() {
                Some(policy) => Some(policy.resolve(draft)?),
                None => None,
            },
            components,
            folders: folders?,
        })
    }
}

impl Draft<'_> {
    /// The priority of each domain, stated or worked out.
    pub(crate) fn priorities(&self) -> Vec<u64> {
        let stated = self.domains.iter().map(|domain| Stated {
            priority: domain.table.priority.as_ref().map(|priority| priority.value),
            is_driver: !domain.devices.is_empty(),
        });
        // The monitor answers those that it judges, as a server does.
        let calls = self.calls().into_iter().chain(self.questions());
        priorities(&stated.collect::<Vec<_>>(), &calls.collect::<Vec<_>>())
    }

    /// The budget of each domain, stated or worked out.
    pub(crate) fn budgets(&self, priorities: &[u64]) -> Vec<Budget> {
        let stated = self.domains.iter().zip(priorities).map(|(domain, priority)| StatedBudget {
            budget_us: domain.table.budget_us.as_ref().map(|us| us.value),
            period_us: domain.table.period_us.as_ref().map(|us| us.value),
            weight: domain.component.map_or(1, |component| component.cpu_weight),
            priority: *priority,
        });
        budgets(&stated.collect::<Vec<_>>())
    }
}

/// The builder first, then each component at the first domain that can run it.
fn components(draft: &Draft<'_>) -> Option<Vec<Component>> {
    let mut components = vec![draft.inputs.components.get(BUILDER)?.found()?.clone()];
    for domain in &draft.domains {
        let images = domain.images.iter().map(|image| image.found);
        for component in std::iter::once(domain.component).chain(images) {
            let component = component?;
            if !components.iter().any(|known| known.name == component.name) {
                components.push(component.clone());
            }
        }
    }
    Some(components)
}

fn resolve_domain(
    draft: &DraftDomain<'_>,
    components: &[Component],
    (priority, budget): (u64, Budget),
    files: &[&str],
) -> Option<Domain> {
    let component = draft.component?;
    let table = draft.table;
    let place = |component: &Component| {
        components.iter().position(|known| known.name == component.name).map(ComponentId)
    };
    let mut uses: Vec<&DraftGateUse<'_>> = draft.uses.iter().collect();
    uses.sort_by_key(|gate_use| gate_use.need.map(|(place, _)| place));
    Some(Domain {
        name: table.name.value.clone(),
        at: table.name.span,
        component: place(component)?,
        images: draft.images.iter().map(|image| place(image.found?)).collect::<Option<_>>()?,
        arguments: table.arguments.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        stack_pages: pages(table.stack_kib.as_ref().map_or(component.stack_kib, |kib| kib.value)),
        heap_pages: pages(table.heap_kib.as_ref().map_or(component.heap_kib, |kib| kib.value)),
        uses: uses.into_iter().map(resolve_use).collect::<Option<_>>()?,
        devices: resolve_devices(draft)?,
        rights: draft.rights.iter().map(resolve_right).collect::<Option<_>>()?,
        on_fault: on_fault(draft)?,
        on_fault_at: on_fault_at(table),
        on_request: table.on_request(),
        keeps_apart: table.keeps_apart,
        priority,
        budget,
        is_best_effort: table.is_best_effort,
        guest: draft.guest_sizes().map(|sizes| resolve_guest(draft, sizes, files)),
        rests_on_at_most: table.rests_on_at_most.clone(),
    })
}

fn resolve_guest(draft: &DraftDomain<'_>, sizes: GuestSizes, files: &[&str]) -> Guest {
    let table = &draft.table.guest;
    let place = |name: &At<String>| files.iter().position(|known| *known == name.value).map(FileId);
    Guest {
        sizes,
        kernel: table.kernel.as_ref().and_then(place),
        images: table.images.iter().filter_map(place).collect(),
        initramfs: table.initramfs.as_ref().and_then(place),
        cmdline: table.cmdline.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
    }
}

fn resolve_use(draft: &DraftGateUse<'_>) -> Option<GateUse> {
    let (place, offer) = draft.offer?;
    Some(GateUse {
        local: draft.table.local.value.clone(),
        server: DomainId(draft.server?),
        gate: GateId(place),
        option: offer.packed(&draft.table.options),
        at: draft.table.from.span,
    })
}

fn resolve_devices(draft: &DraftDomain<'_>) -> Option<Vec<Owned>> {
    let mut devices: Vec<_> = draft.devices.iter().collect();
    devices.sort_by_key(|device| device.need.map(|(place, _)| place));
    let owned = devices.into_iter().map(|device| {
        Some(Owned {
            local: device.need?.1.local.value.clone(),
            device: DeviceId(device.found?.0),
            at: device.written.span,
        })
    });
    owned.collect()
}

fn on_fault(draft: &DraftDomain<'_>) -> Option<OnFault> {
    match draft.table.on_fault.as_ref().map(|written| written.value.as_str()) {
        None | Some("stop") => Some(OnFault::Stop),
        Some("halt") => Some(OnFault::Halt),
        Some("restart") => Some(OnFault::Restart),
        Some("handler") => Some(OnFault::Handler(DomainId(draft.fault_handler?.found?))),
        Some(_) => None,
    }
}

/// The handler's place, or that of the policy, or the domain's.
fn on_fault_at(table: &DomainTable) -> Span {
    let stated = table.fault_handler.as_ref().or(table.on_fault.as_ref());
    stated.unwrap_or(&table.name).span
}

fn resolve_right(named: &Named<'_, Right>) -> Option<At<Right>> {
    Some(At { value: named.found?, span: named.written.span })
}

fn resolve_assertion(table: &AssertTable) -> Option<Assertion> {
    Some(Assertion {
        question: table.never.as_ref().or(table.always.as_ref())?.clone(),
        expects_yes: table.always.is_some(),
        why: table.why.as_ref().map(|why| why.value.clone()),
    })
}

pub(crate) fn pages(kib: u64) -> u64 {
    (kib * 1024).div_ceil(PAGE_BYTES)
}
