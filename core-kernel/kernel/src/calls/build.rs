//! Building other domains.

use cloison_abi::{
    CallError, InterruptSource, Name, ObjectKind, Rights,
    call::{CONFIGURE_COMES_BACK, CONFIGURE_ENDS_SYSTEM, SLOT_SELF},
    limits::{BACKGROUND_PRIORITY, MIN_PERIOD_US, PRIORITIES},
    plan::FaultPolicy,
};
use cloison_rules::{
    DomainId, DomainRef, EventRef, RegionRef,
    authorize::Operation,
    budget::Budget,
    capability::{Capability, Gate},
    interrupts::Interrupt,
    mapping::MappingTable,
    thread::State,
};

use super::{
    Answer, Arguments, Found, Result,
    regions::{access_rights, is_seen, map_into, zero_step},
};
use crate::{life::Renewal, state::Kernel};

/// Rights to a domain that can be given.
const DOMAIN_RIGHTS: Rights = Rights::BUILD.union(Rights::HANDLE_FAULT).union(Rights::MANAGE);

/// What a call that changes a domain is about to do.
fn change(to: DomainRef, toward: Option<DomainRef>) -> Operation {
    Operation::Build { to: Some(to.id), toward: toward.map(|toward| toward.id) }
}

/// The domain in a slot of the caller, if it may be changed.
#[inline(never)]
pub(super) fn subject(kernel: &Kernel, id: DomainId, slot: u64) -> Result<DomainRef> {
    let domain = subject_in_any_state(kernel, id, slot)?;
    check_whole(kernel, domain.id)?;
    Ok(domain)
}

/// The same, even if the domain is half destroyed.
fn subject_in_any_state(kernel: &Kernel, id: DomainId, slot: u64) -> Result<DomainRef> {
    let (domain, _) = kernel.slots(id).domain(slot, Rights::BUILD)?;
    kernel.resolve(domain)?;
    Ok(domain)
}

/// Refuses a domain whose destruction, or whose next life, has begun and takes several steps: it has no page
/// tables now.
fn check_whole(kernel: &Kernel, id: DomainId) -> Result<()> {
    if kernel.domain(id).space.is_there() { Ok(()) } else { Err(CallError::BadState) }
}

/// An event bit that a plan can give.
fn event_bit(bit: u64) -> Result<u8> {
    u8::try_from(bit)
        .ok()
        .filter(|bit| u32::from(*bit) < cloison_abi::limits::PLAN_EVENTS)
        .ok_or(CallError::BadArgument)
}

/// The region of which page tables are to be made.
pub(super) fn find_quota(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<RegionRef> {
    let slots = kernel.slots(id);
    slots.right(arguments.slot, ObjectKind::BuilderRight)?;
    let (quota, _) = slots.region(arguments.a[1], Rights::GRANT | Rights::WRITE)?;
    Ok((Operation::Build { to: None, toward: None }, quota))
}

/// Create a domain.
pub(super) fn create(kernel: &mut Kernel, id: DomainId, quota: RegionRef, arguments: Arguments) -> Result {
    let [receiver, _, low, high, ..] = arguments.a;
    kernel.slots(id).check_free(receiver)?;
    let region = kernel.regions.usable(quota)?;
    if region.is_device() || is_seen(kernel, quota) {
        return Err(CallError::BadState);
    }
    let created = kernel.add_domain(Name::from_words([low, high]))?;
    let frames = kernel.regions.take_tables(quota)?;
    kernel.give_space(created.id, frames);
    kernel.domain_mut(created.id).quota = Some(quota);
    kernel.slots_mut(id).fill(receiver, Capability::Domain(created, DOMAIN_RIGHTS))?;
    Ok(Answer::Done)
}

/// A domain, what happens when it faults, and the domain that then handles it.
pub(super) fn find_handler(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(DomainId, FaultPolicy, Option<DomainRef>)> {
    let [.., policy, handler, _] = arguments.a;
    let domain = subject(kernel, id, arguments.slot)?;
    let number = u32::try_from(policy & !(CONFIGURE_ENDS_SYSTEM | CONFIGURE_COMES_BACK)).ok();
    let policy = number.and_then(FaultPolicy::from_number).ok_or(CallError::BadArgument)?;
    let handler = match policy {
        FaultPolicy::Stop | FaultPolicy::Halt if arguments.a[3] & CONFIGURE_COMES_BACK == 0 => None,
        _ if handler == 0 => Some(kernel.reference(id)),
        _ => Some(subject(kernel, id, handler)?),
    };
    Ok((change(domain, handler), (domain.id, policy, handler)))
}

/// Set how a domain runs.
pub(super) fn configure(
    kernel: &mut Kernel,
    _id: DomainId,
    (domain, on_fault, handler): (DomainId, FaultPolicy, Option<DomainRef>),
    arguments: Arguments,
) -> Result {
    let [priority, budget, period, policy, _, bit] = arguments.a;
    if kernel.state(domain) != State::Stopped {
        return Err(CallError::BadState);
    }
    let in_range = priority > BACKGROUND_PRIORITY.into() && priority < PRIORITIES as u64;
    let limited = period == 0 || (period >= MIN_PERIOD_US.into() && budget > 0 && budget <= period);
    if !in_range || !limited || u32::try_from(period).is_err() {
        return Err(CallError::BadArgument);
    }
    let handler = handler
        .map(|handler| Ok(EventRef { target: kernel.peer(handler.id)?, bit: event_bit(bit)? }))
        .transpose()?;
    let timer = &kernel.machine.timer;
    let budget = Budget::new(timer.whole_ticks(budget), timer.whole_ticks(period));
    kernel.threads.configure(kernel.thread(domain)?, priority as u8, budget);
    let domain = kernel.domain_mut(domain);
    domain.ends_system = policy & CONFIGURE_ENDS_SYSTEM != 0;
    domain.comes_back = policy & CONFIGURE_COMES_BACK != 0;
    (domain.on_fault, domain.handler) = (on_fault, handler);
    Ok(Answer::Done)
}

/// A domain, and a region that it is to see.
pub(super) fn find_mapped(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(DomainId, RegionRef, Rights)> {
    let domain = subject(kernel, id, arguments.slot)?;
    // Who maps it for another passes it on: a mapping that was built outlives a loan.
    let (region, held) = kernel.slots(id).region(arguments.a[0], Rights::READ | Rights::GRANT)?;
    Ok((change(domain, None), (domain.id, region, held)))
}

/// Map into a domain.
pub(super) fn map(
    kernel: &mut Kernel,
    id: DomainId,
    (domain, region, held): (DomainId, RegionRef, Rights),
    arguments: Arguments,
) -> Result {
    let [_, address, first, pages, rights, _] = arguments.a;
    let is_own = id == domain;
    if !is_own && !admit(kernel, region, domain)? {
        return Ok(Answer::Again);
    }
    map_into(kernel, (region, held), (domain, None), is_own, [address, first, pages, rights])
}

/// Lets a domain be one of those that see a region. Who may have no memory together with it sees that one no more: in
/// steps. Returns whether it is so.
fn admit(kernel: &mut Kernel, region: RegionRef, party: DomainId) -> Result<bool> {
    kernel.regions.admit(region, party.bit())?;
    let parties = kernel.regions.get(region)?.parties();
    Ok(!kernel.settle_memory_step(parties))
}

/// Fill a slot of a domain with a capability, for this life and all later ones.
pub(super) fn give(kernel: &mut Kernel, to: DomainId, slot: u64, capability: Capability) -> Result {
    if slot == SLOT_SELF.into() {
        return Err(CallError::BadArgument);
    }
    kernel.slots_mut(to).fill(slot, capability)?;
    kernel.domain_mut(to).planned.replace(slot, capability);
    Ok(Answer::Done)
}

/// A domain, and a region to give it.
pub(super) fn find_region(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(DomainId, RegionRef, Rights)> {
    let domain = subject(kernel, id, arguments.slot)?;
    let (region, held) = kernel.slots(id).region(arguments.a[1], Rights::GRANT)?;
    Ok((change(domain, None), (domain.id, region, held)))
}

/// Give a region.
pub(super) fn give_region(
    kernel: &mut Kernel,
    _id: DomainId,
    (domain, region, held): (DomainId, RegionRef, Rights),
    arguments: Arguments,
) -> Result {
    let [slot, _, rights, ..] = arguments.a;
    kernel.regions.usable(region)?;
    let beside = Rights::GRANT | Rights::DMA;
    let access = access_rights(rights & !u64::from(beside.bits()), held)?;
    let given = access | (Rights::from_bits_truncate(rights as u32) & beside & held);
    if !admit(kernel, region, domain)? {
        return Ok(Answer::Again);
    }
    give(kernel, domain, slot, Capability::own_region(region, given))
}

/// Two domains: one to change, and one to which it gets access.
pub(super) fn find_pair(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(DomainRef, DomainRef)> {
    let to = subject(kernel, id, arguments.slot)?;
    let toward = subject(kernel, id, arguments.a[1])?;
    Ok((change(to, Some(toward)), (to, toward)))
}

/// The same, where the caller can be one of the two: what it offers and what it does itself are its own.
pub(super) fn find_ends(
    kernel: &Kernel,
    id: DomainId,
    arguments: &Arguments,
) -> Found<(DomainRef, DomainRef)> {
    let (own, other) = (u64::from(SLOT_SELF), arguments.a[1]);
    let (to, toward) = match (arguments.slot, other) {
        (slot, other) if slot == own => (kernel.reference(id), subject(kernel, id, other)?),
        (slot, other) if other == own => (subject(kernel, id, slot)?, kernel.reference(id)),
        _ => return find_pair(kernel, id, arguments),
    };
    Ok((change(to, Some(toward)), (to, toward)))
}

/// Give a gate into a server.
pub(super) fn give_gate(
    kernel: &mut Kernel,
    _id: DomainId,
    (client, server): (DomainRef, DomainRef),
    arguments: Arguments,
) -> Result {
    let [slot, _, badge, grants, ..] = arguments.a;
    if client == server {
        return Err(CallError::SelfCall);
    }
    let badge = u32::try_from(badge).map_err(|_| CallError::BadArgument)?;
    let (grant_first, grant_count) = (grants as u8, (grants >> 8) as u8);
    let gate = Gate { server: kernel.peer(server.id)?, badge, grant_first, grant_count };
    give(kernel, client.id, slot, Capability::Gate(gate))
}

/// Give an event bit of a domain.
pub(super) fn give_event(
    kernel: &mut Kernel,
    _id: DomainId,
    (holder, target): (DomainRef, DomainRef),
    arguments: Arguments,
) -> Result {
    let [slot, _, bit, ..] = arguments.a;
    let bit = event_bit(bit)?;
    give(kernel, holder.id, slot, Capability::Event { target: kernel.peer(target.id)?, bit })
}

/// A domain to change, by a caller that has the builder right in the slot a1 too.
pub(super) fn find_with_right(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainRef> {
    let domain = subject(kernel, id, arguments.slot)?;
    kernel.slots(id).right(arguments.a[1], ObjectKind::BuilderRight)?;
    Ok((change(domain, None), domain))
}

/// Give an interrupt.
pub(super) fn give_interrupt(
    kernel: &mut Kernel,
    _id: DomainId,
    target: DomainRef,
    arguments: Arguments,
) -> Result {
    let [slot, _, source, bit, ..] = arguments.a;
    let bit = event_bit(bit)?;
    let source = u32::try_from(source).ok().and_then(InterruptSource::from_bits);
    let source = source.ok_or(CallError::BadArgument)?;
    let number = kernel.interrupts.place_for(source)?;
    let interrupt = Interrupt::new(source, EventRef { target: kernel.peer(target.id)?, bit });
    if interrupt.line().is_some_and(|line| !kernel.machine.io_apic.has(line.number())) {
        return Err(CallError::BadArgument);
    }
    give(kernel, target.id, slot, Capability::Interrupt(number))?;
    kernel.interrupts.put(number, interrupt);
    if let Some(line) = interrupt.line() {
        kernel.machine.io_apic.unmask(line, number);
    }
    Ok(Answer::Done)
}

/// The same, with the builder right in the slot a0.
pub(super) fn find_for_ports(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainId> {
    let domain = subject(kernel, id, arguments.slot)?;
    kernel.slots(id).right(arguments.a[0], ObjectKind::BuilderRight)?;
    Ok((change(domain, None), domain.id))
}

/// Give I/O ports.
pub(super) fn give_ports(
    kernel: &mut Kernel,
    _id: DomainId,
    domain: DomainId,
    arguments: Arguments,
) -> Result {
    let [_, first, count, ..] = arguments.a;
    let end = first.checked_add(count).filter(|end| *end <= 0x1_0000 && count > 0);
    end.ok_or(CallError::BadArgument)?;
    // The last port of all would need a count that 16 bits do not hold, and no device has it.
    let range = (first as u16, u16::try_from(count).map_err(|_| CallError::BadArgument)?);
    kernel.domain_mut(domain).ports.push(range).map_err(|_| CallError::TableFull)?;
    let thread = kernel.thread(domain)?;
    kernel.context_mut(thread).allow_ports();
    kernel.mark_stale();
    Ok(Answer::Done)
}

/// Give a right.
pub(super) fn give_right(
    kernel: &mut Kernel,
    _id: DomainId,
    target: DomainRef,
    arguments: Arguments,
) -> Result {
    let [slot, _, kind, bit, ..] = arguments.a;
    let kind = u32::try_from(kind).ok().and_then(ObjectKind::from_number).ok_or(CallError::BadArgument)?;
    match kind {
        ObjectKind::LogRight => {
            let bit = event_bit(bit)?;
            kernel.slots(target.id).check_free(slot)?;
            if !kernel.set_reader(EventRef { target: kernel.peer(target.id)?, bit }) {
                return Ok(Answer::Again);
            }
            give(kernel, target.id, slot, Capability::Right(kind))
        }
        ObjectKind::MonitorRight => {
            let bit = event_bit(bit)?;
            give(kernel, target.id, slot, Capability::Right(kind))?;
            kernel.monitor.set_holder(EventRef { target: kernel.peer(target.id)?, bit });
            Ok(Answer::Done)
        }
        ObjectKind::BuilderRight | ObjectKind::CensusRight | ObjectKind::ShutdownRight => {
            give(kernel, target.id, slot, Capability::Right(kind))
        }
        _ => Err(CallError::BadArgument),
    }
}

/// Give a domain: the right to decide about its faults, say.
pub(super) fn give_domain(
    kernel: &mut Kernel,
    _id: DomainId,
    (receiver, given): (DomainRef, DomainRef),
    arguments: Arguments,
) -> Result {
    let [slot, _, rights, ..] = arguments.a;
    let rights = u32::try_from(rights).ok().and_then(Rights::from_bits).ok_or(CallError::BadArgument)?;
    if !DOMAIN_RIGHTS.contains(rights) {
        return Err(CallError::BadArgument);
    }
    give(kernel, receiver.id, slot, Capability::Domain(given, rights))
}

/// A domain to destroy; its destruction may have begun.
pub(super) fn find_to_destroy(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainId> {
    let domain = subject_in_any_state(kernel, id, arguments.slot)?;
    Ok((change(domain, None), domain.id))
}

/// Destroy a domain: what it lent comes back, it ends, its page tables are scrubbed, then it is gone.
pub(super) fn destroy(kernel: &mut Kernel, id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    if domain == id {
        return Err(CallError::SelfCall);
    }
    if kernel.domain(domain).renewal != Renewal::Destroying {
        if !kernel.take_back_step(domain, None) {
            return Ok(Answer::Again);
        }
        begin_destruction(kernel, domain)?;
    }
    if let Some(quota) = kernel.domain(domain).quota {
        if !zero_step(kernel, quota)? {
            return Ok(Answer::Again);
        }
        kernel.regions.release_tables(quota)?;
    }
    if !kernel.remove_guest_step(domain)? {
        return Ok(Answer::Again);
    }
    kernel.remove_domain(domain);
    kernel.slots_mut(id).take(arguments.slot)?;
    Ok(Answer::Done)
}

/// Ends a domain and takes its page tables away.
fn begin_destruction(kernel: &mut Kernel, id: DomainId) -> Result<()> {
    kernel.end_domain(id);
    let dying = kernel.domain_mut(id);
    dying.mappings = MappingTable::EMPTY;
    dying.renewal = Renewal::Destroying;
    kernel.take_space(id)
}
