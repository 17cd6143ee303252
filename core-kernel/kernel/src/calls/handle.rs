//! Deciding about a domain that has faulted, or whose life another domain looks after: why it ended, when it begins.

use cloison_abi::{
    CallError, Rights,
    call::SystemEnd,
    capture::{CAPTURE_LAST, CAPTURE_RECEIVES, CAPTURE_WAITS},
    life::DomainState,
};
use cloison_rules::{
    DomainAddress, DomainId, DomainSet, ThreadId,
    authorize::Operation,
    thread::{Held, State},
};

use super::{Answer, Arguments, Found, Result, gates};
use crate::{arch::time, life::Renewal, state::Kernel};

/// The domain in a slot of the caller, if the caller may decide about its faults.
pub(super) fn find(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainId> {
    let domain = held(kernel, id, arguments, Rights::HANDLE_FAULT)?;
    Ok((Operation::Handle { domain }, domain))
}

/// The same, if the caller may hold it where it is.
pub(super) fn find_managed(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainId> {
    let domain = held(kernel, id, arguments, Rights::MANAGE)?;
    Ok((Operation::Handle { domain }, domain))
}

/// The same, to start it.
pub(super) fn find_started(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainId> {
    let domain = held(kernel, id, arguments, Rights::HANDLE_FAULT)?;
    Ok((Operation::Start { domain }, domain))
}

/// The same, to have it go on from what the caller says.
pub(super) fn find_restored(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<DomainId> {
    let domain = held(kernel, id, arguments, Rights::MANAGE)?;
    Ok((Operation::Start { domain }, domain))
}

#[inline(never)]
fn held(kernel: &Kernel, id: DomainId, arguments: &Arguments, right: Rights) -> Result<DomainId> {
    let (domain, _) = kernel.slots(id).domain(arguments.slot, right)?;
    kernel.resolve(domain)
}

/// Make a domain that does not live what it was before its first life.
pub(super) fn reset(kernel: &mut Kernel, _id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    if kernel.is_alive(domain) {
        return Err(CallError::BadState);
    }
    if arguments.a[0] > 1 {
        return Err(CallError::BadArgument);
    }
    let is_bare = arguments.a[0] == 1 && kernel.domain(domain).renewal == Renewal::Mapping;
    Ok(if is_bare || kernel.renew_step(domain)? { Answer::Done } else { Answer::Again })
}

/// Start a domain.
pub(super) fn start(kernel: &mut Kernel, _id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    let [entry, stack, argument, ..] = arguments.a;
    let addresses = (DomainAddress::new(entry), DomainAddress::new(stack));
    let (Some(entry), Some(stack)) = addresses else { return Err(CallError::BadArgument) };
    if !stack.get().is_multiple_of(16) {
        return Err(CallError::BadArgument);
    }
    let Some(thread) = begin(kernel, domain)? else { return Ok(Answer::Again) };
    kernel.context_mut(thread).start(entry, stack, argument);
    Ok(Answer::Done)
}

/// Begins a life, if that needs no more steps. Returns the thread that runs then.
fn begin(kernel: &mut Kernel, domain: DomainId) -> Result<Option<ThreadId>> {
    if kernel.is_alive(domain) {
        return Err(CallError::BadState);
    }
    if !kernel.renew_step(domain)? || !kernel.reader_may_start(domain) {
        return Ok(None);
    }
    let thread = kernel.thread(domain)?;
    let paid = kernel.threads.paid(thread, time::now());
    kernel.threads.start(thread)?;
    let started = kernel.domain_mut(domain);
    started.fault = cloison_abi::Fault::NONE;
    (started.renewal, started.gone, started.paid_before) = (Renewal::Used, 0, paid);
    rearm_lines(kernel, domain);
    kernel.bring_out();
    Ok(Some(thread))
}

/// A part of what a domain that is held goes on with.
pub(super) fn capture(kernel: &mut Kernel, _id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    let waits = match kernel.threads.held(kernel.thread(domain)?)? {
        Held::Running => 0,
        Held::Receiving => CAPTURE_RECEIVES,
        Held::Waiting => CAPTURE_WAITS,
    };
    part_of(kernel, domain, arguments.a[0], None, waits)
}

/// A part of the registers of a domain that does not run; of the last one, the instruction if it is another one than that at
/// which it goes on, and how it waits.
#[inline(never)]
fn part_of(kernel: &mut Kernel, domain: DomainId, part: u64, at: Option<u64>, waits: u64) -> Result {
    let thread = kernel.thread(domain)?;
    let pending = kernel.threads.get(thread).pending();
    let context = kernel.context_mut(thread);
    Ok(Answer::Words(if part == CAPTURE_LAST {
        let [instruction, flags, interrupted] = context.last_part();
        [at.unwrap_or(instruction), flags, interrupted | waits, pending]
    } else {
        *context.part(part).ok_or(CallError::BadArgument)?
    }))
}

/// Restore a part of that; with the last one, begin a life.
pub(super) fn restore(kernel: &mut Kernel, _id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    let [part, words @ .., _] = arguments.a;
    // One that lives is changed by nobody.
    if kernel.is_alive(domain) {
        return Err(CallError::BadState);
    }
    let thread = kernel.thread(domain)?;
    let context = kernel.context_mut(thread);
    if part != CAPTURE_LAST {
        context.set_part(part, words)?;
        return Ok(Answer::Done);
    }
    let [instruction, flags, interrupted, pending] = words;
    // In each step: until the last one, parts may be changed.
    context.go_on([instruction, flags, interrupted])?;
    let Some(thread) = begin(kernel, domain)? else { return Ok(Answer::Again) };
    kernel.threads.restore_events(thread, pending);
    // Which of its clients have ended since it was held, nobody has noted; each was told that it had failed. The lowest bit is
    // nobody's.
    kernel.domain_mut(domain).gone = !1;
    Ok(Answer::Done)
}

/// Lets the interrupts of a domain arrive again: it may have faulted before it could acknowledge one.
fn rearm_lines(kernel: &mut Kernel, id: DomainId) {
    for (number, interrupt) in kernel.interrupts.of(id) {
        interrupt.start_over();
        if let Some(line) = interrupt.line() {
            kernel.machine.io_apic.unmask(line, number);
        }
    }
}

/// Stop a domain. What it holds stays with it, so that it can be started again; what it lent comes back.
pub(super) fn stop(kernel: &mut Kernel, _id: DomainId, domain: DomainId, _arguments: Arguments) -> Result {
    if kernel.state(domain) != State::Stopped {
        kernel.stop_for_now(kernel.peer(domain)?);
        if kernel.domain(domain).ends_system {
            kernel.end_system(SystemEnd::Failure);
        }
    }
    Ok(if kernel.take_back_step(domain, None) { Answer::Done } else { Answer::Again })
}

/// Let a stopped domain wait for the caller to start it.
pub(super) fn attend(kernel: &mut Kernel, _id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    // Callers would wait for one that never comes back.
    let is_over = matches!(kernel.domain(domain).renewal, Renewal::Ended | Renewal::Destroying);
    if is_over || kernel.state(domain) != State::Stopped {
        return Err(CallError::BadState);
    }
    let thread = kernel.thread(domain)?;
    kernel.threads.halt(thread, State::Faulted(Some(arguments.thread)));
    Ok(Answer::Done)
}

/// Hold a domain where it is, or let it go on.
pub(super) fn pause(kernel: &mut Kernel, id: DomainId, domain: DomainId, arguments: Arguments) -> Result {
    // It would be held when the call has its answer; nobody who has another's right is in doubt about whom it means.
    if domain == id {
        return Err(CallError::SelfCall);
    }
    let thread = kernel.thread(domain)?;
    match arguments.a[0] {
        0 => {
            let next = kernel.threads.resume(thread)?;
            gates::take_next(kernel, thread, next);
        }
        1 => kernel.threads.pause(thread)?,
        _ => return Err(CallError::BadArgument),
    }
    Ok(Answer::Done)
}

/// How a domain is.
pub(super) fn info(kernel: &mut Kernel, _id: DomainId, domain: DomainId, _arguments: Arguments) -> Result {
    let thread = kernel.thread(domain)?;
    let state = match kernel.threads.get(thread).state {
        State::Free | State::Stopped => DomainState::Stopped,
        State::Faulted(_) => DomainState::Faulted,
        _ if kernel.threads.get(thread).is_paused() => DomainState::Paused,
        _ => DomainState::Running,
    };
    let paid = kernel.threads.paid(thread, time::now()).wrapping_sub(kernel.domain(domain).paid_before);
    let refusals = u64::from(kernel.access(domain).counts.refusals);
    let waits = |id: &ThreadId| kernel.threads.server_of(*id) == Some(thread);
    let waiting = ThreadId::all().filter(waits).filter_map(|id| kernel.context(id).home());
    let waiting = waiting.fold(0, |all: DomainSet, id| all | id.bit());
    let lives = kernel.domain(domain).lives_ended;
    Ok(Answer::Words([state as u64 | refusals << 32, paid, lives.into(), waiting.into()]))
}

/// What a domain did wrong, or what its registers were then.
pub(super) fn fault_read(
    kernel: &mut Kernel,
    _id: DomainId,
    domain: DomainId,
    arguments: Arguments,
) -> Result {
    let fault = kernel.domain(domain).fault;
    let Some(part) = arguments.a[0].checked_sub(1) else { return Ok(told(fault)) };
    if kernel.is_alive(domain) {
        return Err(CallError::BadState);
    }
    // Vector registers are not told: keys are in them, and no crash is read by them.
    if part > CAPTURE_LAST {
        return Err(CallError::BadArgument);
    }
    // The thread itself goes on elsewhere, to fault again for each step of its end.
    Ok(match part_of(kernel, domain, part, Some(fault.instruction), 0)? {
        Answer::Words([instruction, flags, ..]) if part == CAPTURE_LAST => {
            Answer::Words([instruction, flags, 0, 0])
        }
        registers => registers,
    })
}

fn told(fault: cloison_abi::Fault) -> Answer {
    Answer::Words([fault.kind as u64, fault.code.into(), fault.instruction, fault.address])
}
