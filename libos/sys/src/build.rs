//! The calls by which the builder makes other domains, and a fault handler deals with faults.

use cloison_abi::{
    CallError, CallNumber, Fault, FaultKind, InterruptSource, Name, ObjectKind, Rights, guest::GUEST_REGIONS,
    life::DomainState, plan::FaultPolicy,
};

use crate::{Slot, raw::enter};

/// How a domain runs.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// 1 to 31; the highest that can run runs.
    pub priority: u32,
    /// Time at that priority in each period, in microseconds.
    pub budget_us: u32,
    /// The period, in microseconds; 0 for no limit.
    pub period_us: u32,
    /// What the kernel does when the domain faults.
    pub on_fault: FaultPolicy,
    /// The domain that is told of its faults, and by which event bit.
    pub handler: Option<(Slot, u32)>,
    /// Whether that one is told of each of its ends, and can start it again.
    pub comes_back: bool,
    /// Whether its end is the end of the system.
    pub ends_system: bool,
}

/// Creates a domain. `quota` is a region that becomes its page tables.
///
/// # Errors
/// [`CallError::TableFull`], [`CallError::SlotTaken`], any error of the slots.
pub fn domain_create(right: Slot, receiver: Slot, quota: Slot, name: Name) -> Result<(), CallError> {
    let [low, high] = name.to_words();
    let args = [receiver.0.into(), quota.0.into(), low, high, 0, 0];
    enter(CallNumber::DomainCreate, right.0, 0, args).done()
}

/// Sets how a domain runs.
///
/// # Errors
/// [`CallError::BadArgument`] for a priority or period out of range.
pub fn domain_configure(domain: Slot, how: &Configuration) -> Result<(), CallError> {
    let ends = if how.ends_system { cloison_abi::call::CONFIGURE_ENDS_SYSTEM } else { 0 };
    let (handler, bit) = how.handler.map_or((0, 0), |(slot, bit)| (slot.0, bit));
    let back = if how.comes_back { cloison_abi::call::CONFIGURE_COMES_BACK } else { 0 };
    let policy = how.on_fault as u64 | ends | back;
    let args =
        [how.priority.into(), how.budget_us.into(), how.period_us.into(), policy, handler.into(), bit.into()];
    enter(CallNumber::DomainConfigure, domain.0, 0, args).done()
}

/// Maps pages of a region into a domain.
///
/// # Errors
/// As [`crate::region_map`].
pub fn domain_map(
    domain: Slot,
    region: Slot,
    address: u64,
    first_page: u64,
    pages: u64,
    rights: Rights,
) -> Result<(), CallError> {
    let args = [region.0.into(), address, first_page, pages, rights.bits().into(), 0];
    enter(CallNumber::DomainMap, domain.0, 0, args).done()
}

/// Fills a slot of a domain with a region.
///
/// # Errors
/// [`CallError::SlotTaken`], [`CallError::MissingRight`], any error of the slots.
pub fn domain_give_region(domain: Slot, to: Slot, region: Slot, rights: Rights) -> Result<(), CallError> {
    let args = [to.0.into(), region.0.into(), rights.bits().into(), 0, 0, 0];
    enter(CallNumber::DomainGiveRegion, domain.0, 0, args).done()
}

/// Fills a slot of a client with a gate into a server. `grants`: first slot of the server for what the client
/// grants, and how many.
///
/// # Errors
/// [`CallError::SlotTaken`], [`CallError::SelfCall`], any error of the slots.
pub fn domain_give_gate(
    client: Slot,
    to: Slot,
    server: Slot,
    badge: u32,
    grants: (u8, u8),
) -> Result<(), CallError> {
    let window = u64::from(grants.0) | u64::from(grants.1) << 8;
    let args = [to.0.into(), server.0.into(), badge.into(), window, 0, 0];
    enter(CallNumber::DomainGiveGate, client.0, 0, args).done()
}

/// Fills a slot of a domain with an event bit of another domain.
///
/// # Errors
/// [`CallError::SlotTaken`], [`CallError::BadArgument`], any error of the slots.
pub fn domain_give_event(holder: Slot, to: Slot, target: Slot, bit: u32) -> Result<(), CallError> {
    let args = [to.0.into(), target.0.into(), bit.into(), 0, 0, 0];
    enter(CallNumber::DomainGiveEvent, holder.0, 0, args).done()
}

/// Fills a slot of a domain with an interrupt that arrives as its event `bit`.
///
/// # Errors
/// [`CallError::SlotTaken`], [`CallError::BadArgument`] for a line that is not there or taken,
/// [`CallError::TableFull`].
pub fn domain_give_interrupt(
    domain: Slot,
    to: Slot,
    right: Slot,
    source: InterruptSource,
    bit: u32,
) -> Result<(), CallError> {
    let args = [to.0.into(), right.0.into(), source.to_bits().into(), bit.into(), 0, 0];
    enter(CallNumber::DomainGiveInterrupt, domain.0, 0, args).done()
}

/// Lets a domain use a range of I/O ports.
///
/// # Errors
/// [`CallError::TableFull`], [`CallError::BadArgument`], any error of the slots.
pub fn domain_give_ports(domain: Slot, right: Slot, first: u16, count: u16) -> Result<(), CallError> {
    let args = [right.0.into(), first.into(), count.into(), 0, 0, 0];
    enter(CallNumber::DomainGivePorts, domain.0, 0, args).done()
}

/// Fills a slot of a domain with a right. `bit` is for the log right: the event that says that there is
/// something to read.
///
/// # Errors
/// [`CallError::SlotTaken`], [`CallError::BadArgument`] if `kind` is no right.
pub fn domain_give_right(
    domain: Slot,
    to: Slot,
    right: Slot,
    kind: ObjectKind,
    bit: u32,
) -> Result<(), CallError> {
    let args = [to.0.into(), right.0.into(), kind as u64, bit.into(), 0, 0];
    enter(CallNumber::DomainGiveRight, domain.0, 0, args).done()
}

/// Fills a slot of a domain with another domain.
///
/// # Errors
/// [`CallError::SlotTaken`], [`CallError::MissingRight`], any error of the slots.
pub fn domain_give_domain(receiver: Slot, to: Slot, subject: Slot, rights: Rights) -> Result<(), CallError> {
    let args = [to.0.into(), subject.0.into(), rights.bits().into(), 0, 0, 0];
    enter(CallNumber::DomainGiveDomain, receiver.0, 0, args).done()
}

/// What a guest is made of.
#[derive(Clone, Copy, Debug)]
pub struct GuestParts {
    /// The region whose pages become its page tables.
    pub tables: Slot,
    /// The region whose first page is its frame page.
    pub frame: Slot,
    /// The regions that its spaces can show, each with whether it may be let write there.
    pub attached: [Option<(Slot, bool)>; GUEST_REGIONS],
}

/// Makes a guest of a domain that has not lived yet, and fills a slot of the domain with it.
///
/// # Errors
/// [`CallError::BadState`] if the domain has lived or has a guest, or for a region that is no memory, not zeroed or in
/// another use; [`CallError::TableFull`], [`CallError::SlotTaken`], any error of the slots.
pub fn domain_give_guest(domain: Slot, to: Slot, parts: &GuestParts) -> Result<(), CallError> {
    let (mut slots, mut writable) = (0, 0);
    for (index, (slot, is_writable)) in
        parts.attached.iter().enumerate().filter_map(|(index, part)| Some((index, (*part)?)))
    {
        slots |= u64::from(slot.0) << (8 * index);
        writable |= u64::from(is_writable) << index;
    }
    let args = [to.0.into(), parts.tables.0.into(), parts.frame.0.into(), slots, writable, 0];
    enter(CallNumber::DomainGiveGuest, domain.0, 0, args).done()
}

/// Starts a domain that has not started yet, or that has been stopped.
///
/// # Errors
/// [`CallError::BadState`] if it runs, [`CallError::BadArgument`] for an address that is not a domain's.
pub fn domain_start(domain: Slot, entry: u64, stack: u64, argument: u64) -> Result<(), CallError> {
    enter(CallNumber::DomainStart, domain.0, 0, [entry, stack, argument, 0, 0, 0]).done()
}

/// Makes a domain that does not live what it was before its first life, but for what its memory holds: what it
/// lent is taken back, its slots and mappings are those that its builder made.
///
/// # Errors
/// [`CallError::BadState`] if it lives, or has ended for good.
pub fn domain_reset(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainReset, domain.0, 0, [0; 6]).done()
}

/// The same, without what it sees: that is put into its page tables when it is started.
///
/// # Errors
/// As of [`domain_reset`].
pub fn domain_strip(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainReset, domain.0, 0, [1, 0, 0, 0, 0, 0]).done()
}

/// Stops a domain. Who waits for it gets [`CallError::PeerFailed`]; what it lent comes back.
///
/// # Errors
/// Any error of the slot.
pub fn domain_stop(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainStop, domain.0, 0, [0; 6]).done()
}

/// Lets a stopped domain wait for the caller to start it, as one that has faulted does: until then, or until the
/// caller waits, that domain's priority and account are there for what the caller does.
///
/// # Errors
/// Any error of the slot; [`CallError::BadState`] if the domain is not stopped, or has ended for good.
pub fn domain_attend(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainAttend, domain.0, 0, [0; 6]).done()
}

/// Holds a domain where it is. Who calls it waits.
///
/// # Errors
/// Any error of the slot; [`CallError::BadState`] if it does not live, or is held already; [`CallError::SelfCall`].
pub fn domain_pause(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainPause, domain.0, 0, [1, 0, 0, 0, 0, 0]).done()
}

/// Lets a domain that is held go on.
///
/// # Errors
/// Any error of the slot; [`CallError::BadState`] if it is not held; [`CallError::SelfCall`].
pub fn domain_resume(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainPause, domain.0, 0, [0; 6]).done()
}

/// Four words of what a domain that is held goes on with: a part of those of [`cloison_abi::capture`].
///
/// # Errors
/// Any error of the slot; [`CallError::BadState`] if it is not held, or waits for an answer still;
/// [`CallError::BadArgument`] if there is no such part.
pub fn domain_capture(domain: Slot, part: u64) -> Result<[u64; 4], CallError> {
    let outcome = enter(CallNumber::DomainCapture, domain.0, 0, [part, 0, 0, 0, 0, 0]);
    outcome.done().map(|()| outcome.words)
}

/// Restores such a part of a domain that does not live. With the last one it goes on.
///
/// # Errors
/// Any error of the slot; [`CallError::BadState`] if it lives; [`CallError::BadArgument`] if there is no such part, or
/// nothing can go on with what was restored.
pub fn domain_restore(domain: Slot, part: u64, words: [u64; 4]) -> Result<(), CallError> {
    let [a, b, c, d] = words;
    enter(CallNumber::DomainRestore, domain.0, 0, [part, a, b, c, d, 0]).done()
}

/// How a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainInfo {
    /// Where it is in its life.
    pub state: DomainState,
    /// For how long it has had the CPU in this life, in ticks of the time-stamp counter: all that its account has paid for,
    /// also for work of others.
    pub ticks: u64,
    /// How many of its lives have ended.
    pub lives_ended: u32,
    /// How often it was refused what it was about to do, in all its lives.
    pub refusals: u32,
    /// The domains that wait for it to answer, as bits, by their numbers in the kernel.
    pub waiting: u32,
}

/// How the domain in a slot is.
///
/// # Errors
/// Any error of the slot.
pub fn domain_info(domain: Slot) -> Result<DomainInfo, CallError> {
    let outcome = enter(CallNumber::DomainInfo, domain.0, 0, [0; 6]);
    outcome.done()?;
    let [state, ticks, lives, waiting] = outcome.words;
    Ok(DomainInfo {
        state: DomainState::from_number(state as u32).unwrap_or(DomainState::Stopped),
        ticks,
        lives_ended: lives as u32,
        refusals: (state >> 32) as u32,
        waiting: waiting as u32,
    })
}

/// Destroys a domain and all it held.
///
/// # Errors
/// Any error of the slot.
pub fn domain_destroy(domain: Slot) -> Result<(), CallError> {
    enter(CallNumber::DomainDestroy, domain.0, 0, [0; 6]).done()
}

/// Takes pages out of a region, as a region of their own, zeroed.
///
/// # Errors
/// [`CallError::Overlap`] with what was carved before, [`CallError::TableFull`], any error of the slots.
pub fn region_carve(region: Slot, receiver: Slot, first_page: u64, pages: u64) -> Result<(), CallError> {
    enter(CallNumber::RegionCarve, region.0, 0, [receiver.0.into(), first_page, pages, 0, 0, 0]).done()
}

/// Makes a region of device memory.
///
/// # Errors
/// [`CallError::BadArgument`] if it is memory, or the kernel's own; [`CallError::Overlap`] with another
/// region.
pub fn region_device(right: Slot, receiver: Slot, address: u64, pages: u64) -> Result<(), CallError> {
    enter(CallNumber::RegionDevice, right.0, 0, [receiver.0.into(), address, pages, 0, 0, 0]).done()
}

/// Ends a region: taken back from everyone, scrubbed, given back to the region that it was carved from.
///
/// # Errors
/// [`CallError::BadState`] if something was carved out of it.
pub fn region_delete(region: Slot) -> Result<(), CallError> {
    enter(CallNumber::RegionDelete, region.0, 0, [0; 6]).done()
}

/// Gives a vacant region this many pages of another one, from `first_page` on, zeroed.
///
/// # Errors
/// [`CallError::BadState`] if it is not vacant, [`CallError::Overlap`] with what others have of that memory, any error of
/// the slots.
pub fn region_back(region: Slot, run: Slot, first_page: u64, pages: u64) -> Result<(), CallError> {
    enter(CallNumber::RegionBack, region.0, 0, [run.0.into(), first_page, pages, 0, 0, 0]).done()
}

/// Takes the memory of a region: nobody sees it any more, it is scrubbed, and free. Slots and mappings that a builder has
/// made stay, for when it has memory again.
///
/// # Errors
/// [`CallError::BadState`] if it is vacant, or a guest that lives has it; any error of the slot.
pub fn region_vacate(region: Slot) -> Result<(), CallError> {
    enter(CallNumber::RegionVacate, region.0, 0, [0; 6]).done()
}

/// Four registers of a domain that has stopped, the `part`th of those that [`CallNumber::FaultRead`] names.
///
/// # Errors
/// [`CallError::BadState`] if it runs, [`CallError::BadArgument`] if there is no such part; any error of the slot.
pub fn registers_read(domain: Slot, part: u8) -> Result<[u64; 4], CallError> {
    let outcome = enter(CallNumber::FaultRead, domain.0, 0, [u64::from(part) + 1, 0, 0, 0, 0, 0]);
    outcome.done().map(|()| outcome.words)
}

/// The fault of a domain; [`FaultKind::None`] if it has none.
///
/// # Errors
/// Any error of the slot.
pub fn fault_read(domain: Slot) -> Result<Fault, CallError> {
    let outcome = enter(CallNumber::FaultRead, domain.0, 0, [0; 6]);
    outcome.done()?;
    let [kind, code, instruction, address] = outcome.words;
    let kind = FaultKind::from_number(kind as u32).unwrap_or(FaultKind::OtherException);
    Ok(Fault { kind, code: code as u32, instruction, address })
}
