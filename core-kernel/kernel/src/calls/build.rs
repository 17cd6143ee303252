//! Building other domains, and deciding what happens to one that has faulted.

use cloison_abi::{
    CallError, Name, ObjectKind, Rights,
    call::{CONFIGURE_ENDS_SYSTEM, SystemEnd},
    limits::{
        BACKGROUND_PRIORITY, DOMAIN_END, MAX_INTERRUPT_LINES, MAX_INTERRUPTS, MIN_PERIOD_US, PRIORITIES,
    },
    plan::{FaultPolicy, INTERRUPT_ACTIVE_LOW, INTERRUPT_LEVEL},
};
use cloison_rules::{
    DomainId,
    authorize::{Decision, Operation, authorize},
    budget::Budget,
    capability::{Capability, DomainRef, Gate},
    interrupts::LineLoad,
    mapping::MappingTable,
    region::Backing,
    task::State,
};

use super::{
    Answer, Arguments, Result,
    regions::{access_rights, begin_scrub, map_into, zero_step},
};
use crate::{
    arch::paging::AddressSpace,
    kernel::{Kernel, LineTarget},
    life::Renewal,
};

/// Rights to a domain that can be given.
const DOMAIN_RIGHTS: Rights = Rights::BUILD.union(Rights::HANDLE_FAULT);

/// The domain in a slot of the caller, if it may be changed.
fn subject(kernel: &Kernel, id: DomainId, slot: u64) -> core::result::Result<DomainRef, CallError> {
    let domain = subject_or_ruin(kernel, id, slot)?;
    check_whole(kernel, domain.id)?;
    Ok(domain)
}

/// The same, even if the domain is half destroyed.
fn subject_or_ruin(kernel: &Kernel, id: DomainId, slot: u64) -> core::result::Result<DomainRef, CallError> {
    let (domain, _) = kernel.domain(id).slots.domain(slot, Rights::BUILD)?;
    authorize(id, Operation::Build)?;
    kernel.tasks.resolve(domain)?;
    Ok(domain)
}

/// Refuses a domain whose destruction, or whose next life, has begun and takes several steps: it has no page
/// tables now.
fn check_whole(kernel: &Kernel, id: DomainId) -> core::result::Result<(), CallError> {
    if kernel.domain(id).space.root() == 0 { Err(CallError::BadState) } else { Ok(()) }
}

/// The domain in a slot of the caller, if the caller may decide about its faults.
fn patient(kernel: &Kernel, id: DomainId, slot: u64) -> core::result::Result<DomainId, CallError> {
    let (domain, _) = kernel.domain(id).slots.domain(slot, Rights::HANDLE_FAULT)?;
    let domain = kernel.tasks.resolve(domain)?;
    authorize(id, Operation::HandleFault(domain))?;
    Ok(domain)
}

/// An event bit that a plan can give.
fn event_bit(bit: u64) -> core::result::Result<u8, CallError> {
    u8::try_from(bit)
        .ok()
        .filter(|bit| u32::from(*bit) < cloison_abi::limits::PLAN_EVENTS)
        .ok_or(CallError::BadArgument)
}

/// Create a domain.
pub(super) fn create(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [receiver, quota, low, high, ..] = arguments.a;
    let slots = &kernel.domain(id).slots;
    slots.right(arguments.slot, ObjectKind::BuilderRight)?;
    let (quota, _) = slots.region(quota, Rights::GRANT | Rights::WRITE)?;
    authorize(id, Operation::Build)?;
    slots.check_free(receiver)?;
    let region = *kernel.regions.usable(quota)?;
    let mapped = DomainId::all().any(|other| kernel.domain(other).mappings.of_region(quota).is_some());
    if region.backing == Backing::Device || mapped {
        return Err(CallError::BadState);
    }
    let space = AddressSpace::new(region.first_page, region.pages.into(), kernel.machine.kernel_root)?;
    let created = kernel.add_domain(Name::from_words([low, high]), space)?;
    kernel.regions.get_mut(quota)?.holds_page_tables = true;
    kernel.domain_mut(created.id).quota = Some(quota);
    kernel.domain_mut(id).slots.fill(receiver, Capability::Domain(created, DOMAIN_RIGHTS))?;
    Ok(Answer::Done)
}

/// Set how a domain runs.
pub(super) fn configure(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [priority, budget, period, policy, handler, bit] = arguments.a;
    let domain = subject(kernel, id, arguments.slot)?.id;
    if kernel.tasks.get(domain).state != State::Stopped {
        return Err(CallError::BadState);
    }
    let in_range = priority > BACKGROUND_PRIORITY.into() && priority < PRIORITIES as u64;
    let limited = period == 0 || (period >= MIN_PERIOD_US.into() && budget > 0 && budget <= period);
    let number = u32::try_from(policy & !CONFIGURE_ENDS_SYSTEM).ok();
    let policy_kind = number.and_then(FaultPolicy::from_number);
    let (true, true, Some(on_fault), Ok(_)) = (in_range, limited, policy_kind, u32::try_from(period)) else {
        return Err(CallError::BadArgument);
    };
    let handler = match on_fault {
        FaultPolicy::Stop | FaultPolicy::Halt => None,
        FaultPolicy::Restart | FaultPolicy::Handler => {
            let handler = if handler == 0 { kernel.reference(id) } else { subject(kernel, id, handler)? };
            Some((handler, event_bit(bit)?))
        }
    };
    let timer = &kernel.machine.timer;
    let budget = Budget::new(timer.whole_ticks(budget), timer.whole_ticks(period));
    kernel.tasks.configure(domain, priority as u8, budget);
    let ends_system = policy & CONFIGURE_ENDS_SYSTEM != 0;
    let domain = kernel.domain_mut(domain);
    (domain.on_fault, domain.handler, domain.ends_system) = (on_fault, handler, ends_system);
    Ok(Answer::Done)
}

/// Map into a domain.
pub(super) fn map(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [region, address, first, pages, rights, _] = arguments.a;
    let domain = subject(kernel, id, arguments.slot)?.id;
    authorize(id, Operation::Map(domain))?;
    map_into(kernel, id, region, domain, [address, first, pages, rights])
}

/// Fill a slot of a domain with a capability, for this life and all later ones.
fn give(kernel: &mut Kernel, to: DomainId, slot: u64, capability: Capability) -> Result {
    if slot == cloison_abi::call::SLOT_SELF.into() {
        return Err(CallError::BadArgument);
    }
    let to = kernel.domain_mut(to);
    to.slots.fill(slot, capability)?;
    to.planned.replace(slot, capability);
    Ok(Answer::Done)
}

/// Give a region.
pub(super) fn give_region(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [slot, region, rights, ..] = arguments.a;
    let domain = subject(kernel, id, arguments.slot)?.id;
    let (region, held) = kernel.domain(id).slots.region(region, Rights::GRANT)?;
    kernel.regions.usable(region)?;
    let beside = Rights::GRANT | Rights::DMA;
    let access = access_rights(rights & !u64::from(beside.bits()), held)?;
    let given = access | (Rights::from_bits_truncate(rights as u32) & beside & held);
    give(kernel, domain, slot, Capability::Region(region, given))
}

/// Give a gate into a server.
pub(super) fn give_gate(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [slot, server, badge, grants, ..] = arguments.a;
    let client = subject(kernel, id, arguments.slot)?;
    let server = subject(kernel, id, server)?;
    if client == server {
        return Err(CallError::SelfCall);
    }
    let badge = u32::try_from(badge).map_err(|_| CallError::BadArgument)?;
    let (grant_first, grant_count) = (grants as u8, (grants >> 8) as u8);
    let gate = Gate { server, badge, grant_first, grant_count, decision: Decision::Allowed };
    give(kernel, client.id, slot, Capability::Gate(gate))
}

/// Give an event bit of a domain.
pub(super) fn give_event(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [slot, target, bit, ..] = arguments.a;
    let holder = subject(kernel, id, arguments.slot)?.id;
    let target = subject(kernel, id, target)?;
    let bit = event_bit(bit)?;
    give(kernel, holder, slot, Capability::Event { target, bit })
}

/// Give an interrupt. Flags are about lines; a message has none.
pub(super) fn give_interrupt(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [slot, right, line, bit, flags, _] = arguments.a;
    let target = subject(kernel, id, arguments.slot)?;
    kernel.domain(id).slots.right(right, ObjectKind::BuilderRight)?;
    authorize(id, Operation::GiveDevice)?;
    let bit = event_bit(bit)?;
    let flags = u32::try_from(flags).map_err(|_| CallError::BadArgument)?;
    let index =
        usize::try_from(line).ok().filter(|line| *line < MAX_INTERRUPTS).ok_or(CallError::BadArgument)?;
    let known = if index < MAX_INTERRUPT_LINES { INTERRUPT_LEVEL | INTERRUPT_ACTIVE_LOW } else { 0 };
    if kernel.lines[index].is_some() || flags & !known != 0 {
        return Err(CallError::BadArgument);
    }
    let line = index as u8;
    give(kernel, target.id, slot, Capability::Interrupt { line })?;
    kernel.lines[index] = Some(LineTarget { target, bit, flags, load: LineLoad::default() });
    kernel.machine.io_apic.unmask(line, flags);
    Ok(Answer::Done)
}

/// Give I/O ports.
pub(super) fn give_ports(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [right, first, count, ..] = arguments.a;
    let domain = subject(kernel, id, arguments.slot)?.id;
    kernel.domain(id).slots.right(right, ObjectKind::BuilderRight)?;
    authorize(id, Operation::GiveDevice)?;
    let end = first.checked_add(count).filter(|end| *end <= 0x1_0000 && count > 0);
    end.ok_or(CallError::BadArgument)?;
    // The last port of all would need a count that 16 bits do not hold, and no device has it.
    let range = (first as u16, u16::try_from(count).map_err(|_| CallError::BadArgument)?);
    kernel.domain_mut(domain).ports.push(range).map_err(|_| CallError::TableFull)?;
    kernel.mark_stale(domain);
    Ok(Answer::Done)
}

/// Give a right.
pub(super) fn give_right(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [slot, right, kind, bit, ..] = arguments.a;
    let target = subject(kernel, id, arguments.slot)?;
    kernel.domain(id).slots.right(right, ObjectKind::BuilderRight)?;
    let kind = u32::try_from(kind).ok().and_then(ObjectKind::from_number).ok_or(CallError::BadArgument)?;
    match kind {
        ObjectKind::LogRight => {
            let bit = event_bit(bit)?;
            kernel.domain(target.id).slots.check_free(slot)?;
            if !kernel.set_reader(target, bit) {
                return Ok(Answer::Again);
            }
            give(kernel, target.id, slot, Capability::Right(kind))
        }
        ObjectKind::BuilderRight | ObjectKind::CensusRight | ObjectKind::ShutdownRight => {
            give(kernel, target.id, slot, Capability::Right(kind))
        }
        _ => Err(CallError::BadArgument),
    }
}

/// Give a domain: the right to decide about its faults, say.
pub(super) fn give_domain(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [slot, given, rights, ..] = arguments.a;
    let receiver = subject(kernel, id, arguments.slot)?.id;
    let given = subject(kernel, id, given)?;
    let rights = u32::try_from(rights).ok().and_then(Rights::from_bits).ok_or(CallError::BadArgument)?;
    if !DOMAIN_RIGHTS.contains(rights) {
        return Err(CallError::BadArgument);
    }
    give(kernel, receiver, slot, Capability::Domain(given, rights))
}

/// Make a domain that does not live what it was before its first life.
pub(super) fn reset(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let domain = patient(kernel, id, arguments.slot)?;
    if kernel.is_alive(domain) {
        return Err(CallError::BadState);
    }
    Ok(if kernel.renew_step(domain)? { Answer::Done } else { Answer::Again })
}

/// Start a domain.
pub(super) fn start(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [entry, stack, argument, ..] = arguments.a;
    let domain = patient(kernel, id, arguments.slot)?;
    if entry >= DOMAIN_END || stack >= DOMAIN_END || !stack.is_multiple_of(16) {
        return Err(CallError::BadArgument);
    }
    if kernel.is_alive(domain) {
        return Err(CallError::BadState);
    }
    if !kernel.renew_step(domain)? {
        return Ok(Answer::Again);
    }
    if !kernel.reader_may_start(domain) {
        return Ok(Answer::Again);
    }
    kernel.tasks.start(domain)?;
    let started = kernel.domain_mut(domain);
    started.context.start(entry, stack, argument);
    started.fault = cloison_abi::Fault::NONE;
    (started.renewal, started.gone) = (Renewal::Used, 0);
    rearm_lines(kernel, domain);
    kernel.bring_out();
    Ok(Answer::Done)
}

/// Lets the interrupts of a domain arrive again: it may have faulted before it could acknowledge one.
fn rearm_lines(kernel: &mut Kernel, id: DomainId) {
    for (line, target) in kernel.lines.iter_mut().enumerate() {
        if let Some(target) = target.as_mut().filter(|target| target.target.id == id) {
            target.load = LineLoad::default();
            kernel.machine.io_apic.unmask(line as u8, target.flags);
        }
    }
}

/// Stop a domain. What it holds stays with it, so that it can be started again; what it lent comes back.
pub(super) fn stop(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let domain = patient(kernel, id, arguments.slot)?;
    if kernel.tasks.get(domain).state != State::Stopped {
        halt_for_now(kernel, domain);
    }
    Ok(if kernel.take_back_step(domain, None) { Answer::Done } else { Answer::Again })
}

fn halt_for_now(kernel: &mut Kernel, domain: DomainId) {
    kernel.halt(domain, State::Stopped);
    let stopped = kernel.reference(domain);
    for (line, target) in kernel.lines.iter().enumerate() {
        if target.is_some_and(|target| target.target == stopped) {
            kernel.machine.io_apic.mask(line as u8);
        }
    }
    #[cfg(feature = "self-attack")]
    kernel.attack_lines(stopped);
    kernel.reader_stopped(stopped);
    kernel.abandon_patients(stopped, false);
    if kernel.domain(domain).ends_system {
        kernel.end_system(SystemEnd::Failure);
    }
}

/// Let a stopped domain wait for the caller to start it.
pub(super) fn attend(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let domain = patient(kernel, id, arguments.slot)?;
    if kernel.tasks.get(domain).state != State::Stopped {
        return Err(CallError::BadState);
    }
    kernel.tasks.halt(domain, State::Faulted(Some(id)));
    Ok(Answer::Done)
}

/// Destroy a domain: what it lent comes back, it ends, its page tables are scrubbed, then it is gone.
pub(super) fn destroy(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let domain = subject_or_ruin(kernel, id, arguments.slot)?.id;
    if domain == id {
        return Err(CallError::SelfCall);
    }
    if kernel.domain(domain).renewal != Renewal::Ruin {
        if !kernel.take_back_step(domain, None) {
            return Ok(Answer::Again);
        }
        ruin(kernel, domain)?;
    }
    if let Some(quota) = kernel.domain(domain).quota {
        if !zero_step(kernel, quota)? {
            return Ok(Answer::Again);
        }
        kernel.regions.get_mut(quota)?.holds_page_tables = false;
    }
    kernel.tasks.destroy(domain);
    kernel.domain_mut(id).slots.take(arguments.slot)?;
    Ok(Answer::Done)
}

/// Ends a domain and takes its page tables away.
fn ruin(kernel: &mut Kernel, id: DomainId) -> core::result::Result<(), CallError> {
    kernel.end_domain(id);
    let dying = kernel.domain_mut(id);
    dying.mappings = MappingTable::EMPTY;
    dying.space = AddressSpace::NONE;
    dying.renewal = Renewal::Ruin;
    match dying.quota {
        Some(quota) => begin_scrub(kernel, quota),
        None => Ok(()),
    }
}

/// What a domain did wrong.
pub(super) fn fault_read(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let domain = patient(kernel, id, arguments.slot)?;
    let fault = kernel.domain(domain).fault;
    Ok(Answer::Words([fault.kind as u64, fault.code.into(), fault.instruction, fault.address]))
}
