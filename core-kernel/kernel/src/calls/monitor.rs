//! Calls of the monitor: what is asked, what is decided.

use cloison_abi::{
    CallError, Name, ObjectKind,
    access::{Class, Classes, Decision},
    call::{ASK_NONE, EVERYONE},
};
use cloison_rules::{DomainId, DomainSet};

use super::{Answer, Arguments, Found, Result, system::hold};
use crate::state::Kernel;

/// The caller has the monitor right.
pub(super) fn find(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<()> {
    hold(kernel, id, arguments, ObjectKind::MonitorRight)
}

/// The first question that waits.
pub(super) fn ask_read(kernel: &mut Kernel, _id: DomainId, (): (), _arguments: Arguments) -> Result {
    let epoch = kernel.monitor.epoch;
    Ok(match kernel.question() {
        Some((question, asker)) => {
            let [low, high] = kernel.domain(asker).name.to_words();
            Answer::Full(0, epoch, [question.to_bits(), 0, low, high])
        }
        None => Answer::Full(ASK_NONE, epoch, [0; 4]),
    })
}

/// Decide.
pub(super) fn verdict_set(kernel: &mut Kernel, _id: DomainId, (): (), arguments: Arguments) -> Result {
    let [subject, object, classes, decision, ..] = arguments.a;
    let subject = domain(subject)?;
    // About itself nobody is asked.
    let objects = match object {
        EVERYONE => DomainSet::MAX,
        object => domain(object)?.bit(),
    } & !subject.bit();
    let classes = u32::try_from(classes).ok().and_then(Classes::from_bits).ok_or(CallError::BadArgument)?;
    let decision = Decision::from_number(decision).ok_or(CallError::BadArgument)?;
    if arguments.label != 0 && arguments.label != kernel.monitor.epoch {
        return Err(CallError::BadState);
    }
    if !kernel.access_mut(subject).judge(objects, classes, decision) {
        return Err(CallError::BadArgument);
    }
    if arguments.label == 0 {
        // An answer is about what is done next. What both see already is closed and opened by a new policy.
        if classes.contains(Classes::SHARE) {
            kernel.access_mut(subject).judge_memory(objects, decision);
            if kernel.settle_memory_step(objects | subject.bit()) {
                return Ok(Answer::Again);
            }
        }
        // Once, at the end: the call is made again until all is settled.
        kernel.monitor.begin_epoch();
    }
    if decision == Decision::Deny {
        kernel.withdraw(subject, objects, classes);
    }
    kernel.release_askers();
    Ok(Answer::Words([kernel.monitor.epoch.into(), 0, 0, 0]))
}

/// What is decided about a domain, and how often it was asked.
pub(super) fn verdict_read(kernel: &mut Kernel, _id: DomainId, (): (), arguments: Arguments) -> Result {
    let of = domain(arguments.a[0])?;
    let class = Class::from_number(arguments.a[1]).ok_or(CallError::BadArgument)?;
    let access = kernel.access(of);
    let (may, refused) = access.row(class);
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let counts = pair(access.counts.questions, access.counts.refusals);
    let known = kernel.domain(of);
    let name = if known.thread.is_some() { known.name } else { Name::EMPTY };
    let [low, high] = name.to_words();
    Ok(Answer::Full(0, known.lives_ended, [pair(may, refused), counts, low, high]))
}

fn domain(index: u64) -> Result<DomainId> {
    usize::try_from(index).ok().and_then(DomainId::new).ok_or(CallError::BadArgument)
}
