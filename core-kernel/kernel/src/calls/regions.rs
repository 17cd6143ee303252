//! Regions: shaping memory, seeing it, sharing it.

use cloison_abi::{CallError, ObjectKind, Rights, limits::PAGE_BYTES};
use cloison_rules::{
    DomainId, RegionRef,
    authorize::Operation,
    capability::{Capability, Gate},
    mapping::Mapping,
    memory::Run,
};

use super::{Answer, Arguments, Found, Result};
use crate::{life::Renewal, state::Kernel};

/// Pages that one step maps, unmaps or zeroes before the caller has to call again. 64 pages take about ten
/// thousand instructions, which bounds how long an interrupt waits.
const STEP_PAGES: u32 = 64;

/// Rights that are about mapping.
const ACCESS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::EXECUTE);

/// A region that the caller wants to see, its own or one that was lent to it.
pub(super) fn find_mapped(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(RegionRef, Rights)> {
    let slots = kernel.slots(id);
    let found = slots.region(arguments.slot, Rights::READ)?;
    let lender = slots.lender(arguments.slot).unwrap_or(id);
    Ok((Operation::Share { lender, borrower: id }, found))
}

/// Map into the caller.
pub(super) fn map(
    kernel: &mut Kernel,
    id: DomainId,
    found: (RegionRef, Rights),
    arguments: Arguments,
) -> Result {
    let [address, first, pages, rights, ..] = arguments.a;
    let lender = kernel.slots(id).lender(arguments.slot);
    map_into(kernel, found, (id, lender), true, [address, first, pages, rights])
}

/// Maps a region, by these rights, into `target`, to which `lender` has lent it, [`STEP_PAGES`] at a time. If the quota is
/// used up on the way, what has been mapped stays, as a shorter mapping.
pub(super) fn map_into(
    kernel: &mut Kernel,
    (reference, held): (RegionRef, Rights),
    (target, lender): (DomainId, Option<DomainId>),
    made_by_domain: bool,
    [address, first, pages, rights]: [u64; 4],
) -> Result {
    let region = *kernel.regions.usable(reference)?;
    let new = Mapping::new(reference, &region, address, first, pages, rights)?
        .made_by_domain(made_by_domain)
        .lent_by(lender);
    if !held.contains(new.rights()) {
        return Err(CallError::MissingRight);
    }
    let mapping = kernel.domain_mut(target).mappings.begin(new)?;
    Ok(if map_step(kernel, target, mapping)? { Answer::Done } else { Answer::Again })
}

/// Puts the next [`STEP_PAGES`] of a mapping into the page tables. Returns whether all of it is there.
pub(crate) fn map_step(kernel: &mut Kernel, id: DomainId, mapping: Mapping) -> Result<bool> {
    if settle_step(kernel, id, mapping) {
        return Ok(false);
    }
    let is_dead = kernel.is_withdrawn(id, &mapping);
    let Kernel { regions, domains, .. } = kernel;
    let domain = &mut domains[id.index()];
    let all = mapping.seen_pages(regions.get(mapping.region())?);
    let end = all.min(mapping.mapped() + STEP_PAGES);
    if let Err((shown, error)) = regions.show(&mut domain.space, &mapping, end, is_dead) {
        domain.mappings.truncate(mapping.address(), shown);
        domain.mappings.conceal(mapping.address(), if is_dead { shown } else { 0 });
        return Err(error);
    }
    domain.mappings.progress(mapping.address(), end);
    domain.mappings.conceal(mapping.address(), if is_dead { end } else { 0 });
    Ok(end == all)
}

/// Lets a domain see by a mapping what the monitor has decided: by the next [`STEP_PAGES`] at most its memory, or the dead
/// page. Returns whether there was something to do.
pub(crate) fn settle_step(kernel: &mut Kernel, id: DomainId, mapping: Mapping) -> bool {
    let is_dead = kernel.is_withdrawn(id, &mapping);
    let Some((pages, left)) = mapping.unsettled(is_dead, STEP_PAGES) else { return false };
    let Kernel { regions, domains, .. } = kernel;
    let domain = &mut domains[id.index()];
    regions.show_instead(&mut domain.space, &mapping, pages, is_dead);
    domain.mappings.conceal(mapping.address(), left);
    true
}

/// Remove a mapping of the caller.
pub(super) fn unmap(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let mapping = kernel.domain(id).mappings.starting_at(arguments.a[0]).ok_or(CallError::BadArgument)?;
    // What the plan has mapped stays: a restarted domain needs it again, and nobody would put it back.
    if !mapping.is_made_by_domain() {
        return Err(CallError::BadState);
    }
    Ok(if unmap_step(kernel, id, mapping) { Answer::Done } else { Answer::Again })
}

/// Takes the last [`STEP_PAGES`] off a mapping. Returns whether it is gone.
pub(crate) fn unmap_step(kernel: &mut Kernel, id: DomainId, mapping: Mapping) -> bool {
    let domain = kernel.domain_mut(id);
    let left = mapping.mapped().saturating_sub(STEP_PAGES);
    domain.space.hide(&mapping, left..mapping.mapped());
    domain.mappings.truncate(mapping.address(), left);
    left == 0
}

/// A region of the caller's, and the gate through which it is to be lent.
pub(super) fn find_granted(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(RegionRef, Rights, Gate)> {
    let slots = kernel.slots(id);
    let (region, held) = slots.region(arguments.slot, Rights::GRANT)?;
    let gate = *slots.gate(arguments.a[0])?;
    let borrower = kernel.domain_of(gate.server)?;
    Ok((Operation::Share { lender: id, borrower }, (region, held, gate)))
}

/// Give a region to a server.
pub(super) fn grant(
    kernel: &mut Kernel,
    id: DomainId,
    (region, held, gate): (RegionRef, Rights, Gate),
    arguments: Arguments,
) -> Result {
    // One that does not live would begin its next life with it.
    if !kernel.is_alive(gate.server.domain) {
        return Err(CallError::PeerFailed);
    }
    kernel.regions.usable(region)?;
    kernel.regions.unattached(region)?;
    let rights = access_rights(arguments.a[1], held)?;
    let capability = Capability::Region { region, rights, lender: Some(id) };
    let slots = kernel.slots_mut(gate.server.domain);
    let slot = slots.fill_first(gate.grant_first, gate.grant_count, capability)?;
    Ok(Answer::Words([slot, 0, 0, 0]))
}

/// Rights to pass on: some of those held, and only those about mapping.
pub(super) fn access_rights(asked: u64, held: Rights) -> Result<Rights> {
    let asked = u32::try_from(asked).ok().and_then(Rights::from_bits).ok_or(CallError::BadArgument)?;
    if asked.contains(Rights::WRITE | Rights::EXECUTE) {
        return Err(CallError::BadArgument);
    }
    if held.intersection(ACCESS).contains(asked) { Ok(asked) } else { Err(CallError::MissingRight) }
}

/// A region of the caller's that it may have lent.
pub(super) fn find_lent(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<RegionRef> {
    let (region, _) = kernel.slots(id).region(arguments.slot, Rights::GRANT)?;
    Ok((Operation::TakeBack { region }, region))
}

/// Take a region back from everyone to whom it was lent.
pub(super) fn revoke(kernel: &mut Kernel, id: DomainId, region: RegionRef, _arguments: Arguments) -> Result {
    kernel.regions.unattached(region)?;
    Ok(if kernel.take_back_step(id, Some(region)) { Answer::Done } else { Answer::Again })
}

/// Takes a region from every domain but `keeper`, the plan's included. First the slots, then one step's worth
/// of mappings at most. Returns whether nobody else sees it any more.
fn remove_step(kernel: &mut Kernel, region: RegionRef, keeper: DomainId) -> bool {
    let others = || DomainId::all().filter(|other| *other != keeper);
    for other in others() {
        let keep =
            |_, held: &Capability| !matches!(held, Capability::Region { region: of, .. } if *of == region);
        kernel.slots_mut(other).retain(keep);
        kernel.domain_mut(other).planned.retain(keep);
    }
    let seen = others().find_map(|other| Some((other, kernel.domain(other).mappings.of_region(region)?)));
    if let Some((other, mapping)) = seen {
        unmap_step(kernel, other, mapping);
    }
    seen.is_none()
}

/// Whether some domain sees a part of a region.
#[inline(never)]
pub(super) fn is_seen(kernel: &Kernel, region: RegionRef) -> bool {
    DomainId::all().any(|id| kernel.domain(id).mappings.of_region(region).is_some())
}

/// Length and rights of a region. Its physical address only a driver of a device that reads and writes memory
/// itself has to know; anyone else could learn from it how memory is laid out.
pub(super) fn info(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let (reference, rights) = kernel.slots(id).region(arguments.slot, Rights::empty())?;
    let region = kernel.regions.get(reference)?;
    let address = if rights.contains(Rights::DMA) { region.run().first.address() } else { 0 };
    Ok(Answer::Words([region.pages().into(), rights.bits().into(), address, 0]))
}

/// A region of which the caller is the builder.
pub(super) fn find_shaped(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(RegionRef, Rights)> {
    let found = kernel.slots(id).region(arguments.slot, Rights::BUILD)?;
    Ok((Operation::Build { to: None, toward: None }, found))
}

/// Take pages out of a region. The new region is in the receiving slot from the first step on, but of no use
/// until all of it is zeroed.
pub(super) fn carve(
    kernel: &mut Kernel,
    id: DomainId,
    (parent, rights): (RegionRef, Rights),
    arguments: Arguments,
) -> Result {
    let [receiver, first, pages, ..] = arguments.a;
    let child = match carved_before(kernel, id, receiver, parent, [first, pages]) {
        Some(child) => child,
        None => {
            kernel.slots(id).check_free(receiver)?;
            if is_seen(kernel, parent) {
                return Err(CallError::BadState);
            }
            let child = kernel.regions.carve(parent, first, pages)?;
            kernel.slots_mut(id).fill(receiver, Capability::own_region(child, rights))?;
            child
        }
    };
    Ok(if zero_step(kernel, child)? { Answer::Done } else { Answer::Again })
}

/// The region in the receiving slot, if it is what an earlier step of the same call has carved and not yet
/// zeroed.
fn carved_before(
    kernel: &Kernel,
    id: DomainId,
    receiver: u64,
    parent: RegionRef,
    [first, pages]: [u64; 2],
) -> Option<RegionRef> {
    let (child, _) = kernel.slots(id).region(receiver, Rights::empty()).ok()?;
    let (child_region, parent_region) = (kernel.regions.get(child).ok()?, kernel.regions.get(parent).ok()?);
    let same = child_region.is_part(parent.id, parent_region, first, pages) && !child_region.is_clean();
    same.then_some(child)
}

/// Zeroes some more pages of a region. Returns whether all of it is zero.
pub(crate) fn zero_step(kernel: &mut Kernel, reference: RegionRef) -> Result<bool> {
    kernel.regions.scrub_step(reference, STEP_PAGES)
}

/// A region of which the caller is the builder, and another one that it is to be a part of.
pub(super) fn find_vacant(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(RegionRef, RegionRef)> {
    let (operation, (region, _)) = find_shaped(kernel, id, arguments)?;
    let (parent, _) = kernel.slots(id).region(arguments.a[0], Rights::BUILD)?;
    Ok((operation, (region, parent)))
}

/// Give a vacant region memory. It is of no use until all of it is zeroed.
pub(super) fn back(
    kernel: &mut Kernel,
    _id: DomainId,
    (reference, run): (RegionRef, RegionRef),
    arguments: Arguments,
) -> Result {
    let [_, first, pages, ..] = arguments.a;
    let (region, from) = (kernel.regions.get(reference)?, kernel.regions.get(run)?);
    let is_begun = region.is_part(run.id, from, first, pages) && !region.is_clean();
    if !is_begun {
        if is_seen(kernel, run) {
            return Err(CallError::BadState);
        }
        kernel.regions.back(reference, run, first, pages)?;
    }
    Ok(if zero_step(kernel, reference)? { Answer::Done } else { Answer::Again })
}

/// Take the memory of a region: nobody sees it any more, it is zeroed, and free. Those to whom it was lent have it no
/// more; those to whom the plan gave it see it when it has memory again, in their next life.
pub(super) fn vacate(
    kernel: &mut Kernel,
    _id: DomainId,
    (reference, _): (RegionRef, Rights),
    _arguments: Arguments,
) -> Result {
    kernel.regions.check_takable(reference)?;
    kernel.end_guests_of(reference)?;
    let is_lent = |held: &Capability| matches!(held, Capability::Region { region: of, lender: Some(_), .. } if *of == reference);
    for id in DomainId::all() {
        kernel.slots_mut(id).retain(|_, held| !is_lent(held));
    }
    let shown = DomainId::all().find_map(|id| Some((id, kernel.domain(id).mappings.shown(reference)?)));
    if let Some((id, mapping)) = shown {
        hide_step(kernel, id, mapping);
        return Ok(Answer::Again);
    }
    kernel.regions.begin_scrub(reference)?;
    if !zero_step(kernel, reference)? {
        return Ok(Answer::Again);
    }
    let Kernel { regions, guests, .. } = kernel;
    regions.vacate(reference, guests.iter().map(|guest| &guest.spaces))?;
    Ok(Answer::Done)
}

/// Takes the last [`STEP_PAGES`] of a mapping out of the page tables. What the plan has mapped stays planned.
fn hide_step(kernel: &mut Kernel, id: DomainId, mapping: Mapping) {
    if mapping.is_made_by_domain() {
        unmap_step(kernel, id, mapping);
        return;
    }
    let domain = kernel.domain_mut(id);
    let shown = mapping.mapped();
    let left = shown.saturating_sub(STEP_PAGES);
    domain.space.hide(&mapping, left..shown);
    domain.mappings.progress(mapping.address(), left);
    // It does not begin a life before all is there again.
    if domain.renewal == Renewal::Fresh {
        domain.renewal = Renewal::Mapping;
    }
}

/// The caller has the builder right.
pub(super) fn find_builder_right(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<()> {
    kernel.slots(id).right(arguments.slot, ObjectKind::BuilderRight)?;
    Ok((Operation::Build { to: None, toward: None }, ()))
}

/// Make a region of device memory.
pub(super) fn device(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let [receiver, address, pages, ..] = arguments.a;
    // 52 bits is the widest physical address that page tables hold.
    let end = pages
        .checked_mul(PAGE_BYTES)
        .and_then(|bytes| address.checked_add(bytes))
        .filter(|end| *end <= 1 << 52);
    let end = end.filter(|_| address.is_multiple_of(PAGE_BYTES)).ok_or(CallError::BadArgument)?;
    let frames = kernel.machine.space.device(Run::around(address, end))?;
    kernel.slots(id).check_free(receiver)?;
    let region = kernel.regions.add_device(frames)?;
    let rights = Rights::READ | Rights::WRITE | Rights::GRANT | Rights::BUILD;
    kernel.slots_mut(id).fill(receiver, Capability::own_region(region, rights))?;
    Ok(Answer::Done)
}

/// End a region: everybody loses it, then it is zeroed, then it is gone.
pub(super) fn delete(
    kernel: &mut Kernel,
    id: DomainId,
    (reference, _): (RegionRef, Rights),
    arguments: Arguments,
) -> Result {
    // Before anything is taken away or zeroed: pages of it may be somebody's region, or live page tables.
    kernel.regions.check_deletable(reference)?;
    if !remove_step(kernel, reference, id) {
        return Ok(Answer::Again);
    }
    if let Some(mapping) = kernel.domain(id).mappings.of_region(reference) {
        unmap_step(kernel, id, mapping);
        return Ok(Answer::Again);
    }
    kernel.regions.begin_scrub(reference)?;
    if !zero_step(kernel, reference)? {
        return Ok(Answer::Again);
    }
    kernel.regions.delete(reference)?;
    kernel.slots_mut(id).take(arguments.slot)?;
    Ok(Answer::Done)
}
