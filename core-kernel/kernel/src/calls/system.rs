//! Calls about the caller itself and the system as a whole.

use cloison_abi::{
    CallError, Fault, FaultKind, ObjectKind, Rights,
    call::{LOG_ENDING, SystemEnd},
    limits::{MAX_SLOTS, RETIRED_BUDGET_US, RETIRED_PERIOD_US},
};
use cloison_rules::{
    DomainId, DomainSet, TABLE_ENTRIES, authorize::Operation, budget::Budget, capability::Capability,
};

use super::{Answer, Arguments, Found, Result};
use crate::{
    arch::{apic, frames::ImagePart},
    state::Kernel,
};

/// The domain that reads what is written to the debug output.
pub(super) fn find_reader(kernel: &Kernel, _id: DomainId, _arguments: &Arguments) -> Found<()> {
    let reader = kernel.log.reader().map(|reader| reader.target.domain);
    Ok((Operation::Tell { reader }, ()))
}

/// The caller has the log right.
pub(super) fn find_log(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<()> {
    hold(kernel, id, arguments, ObjectKind::LogRight)
}

/// The caller has the census right.
pub(super) fn find_census(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<()> {
    hold(kernel, id, arguments, ObjectKind::CensusRight)
}

/// The caller has the shutdown right.
pub(super) fn find_shutdown(kernel: &Kernel, id: DomainId, arguments: &Arguments) -> Found<()> {
    hold(kernel, id, arguments, ObjectKind::ShutdownRight)
}

pub(super) fn hold(kernel: &Kernel, id: DomainId, arguments: &Arguments, right: ObjectKind) -> Found<()> {
    kernel.slots(id).right(arguments.slot, right)?;
    Ok((Operation::Hold, ()))
}

/// Write to the debug output.
pub(super) fn debug_write(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let [a, b, c, d, ..] = arguments.a;
    let count =
        usize::try_from(arguments.label).ok().filter(|count| *count <= 32).ok_or(CallError::BadArgument)?;
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip([a, b, c, d]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let taken = kernel.debug_write(id, &bytes[..count]);
    if taken == count {
        return Ok(Answer::Done);
    }
    // The rest with the next call.
    bytes.copy_within(taken.., 0);
    let context = kernel.context_mut(arguments.thread);
    context.set_label((count - taken) as u32);
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    context.set_words(words);
    Ok(Answer::Again)
}

/// End the caller, when what it lent has come back.
pub(super) fn exit(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    if !kernel.take_back_step(id, None) {
        return Ok(Answer::Again);
    }
    let code = arguments.a[0];
    let (name, ends) = (kernel.domain(id).name, kernel.domain(id).ends_system);
    if code != 0 || ends {
        kernel.say(format_args!("{name} ended with code {code}"));
    }
    kernel.end_life(id, Fault { kind: FaultKind::Exit, code: 0, instruction: 0, address: code });
    if id == DomainId::BUILDER {
        scrub_builder(kernel);
        #[cfg(feature = "self-attack")]
        kernel.attack_scrubbed();
    }
    if ends {
        kernel.end_system(if code == 0 { SystemEnd::Success } else { SystemEnd::Failure });
    }
    Ok(Answer::Nothing)
}

/// The builder has ended: what its memory held is gone. In one step, because it happens once, at boot, and
/// the builder's own pages are few.
fn scrub_builder(kernel: &Kernel) {
    kernel.machine.builder_pages.iter().for_each(ImagePart::scrub);
}

/// Fault by choice.
pub(super) fn panic(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let instruction = kernel.context(arguments.thread).instruction();
    let code = arguments.a[0] as u32;
    kernel.fault(id, Fault { kind: FaultKind::Panic, code, instruction, address: 0 });
    Ok(Answer::Nothing)
}

/// What the kernel knows of time.
pub(super) fn clock(kernel: &mut Kernel, _id: DomainId, (): (), _arguments: Arguments) -> Result {
    let machine = &kernel.machine;
    Ok(Answer::Words([machine.timer.hertz, machine.entered, machine.started, machine.timer.calibration]))
}

/// Let an interrupt arrive again. A line that is edge triggered was kept from it only if it came too often; it may
/// have come meanwhile, so its driver looks once more. A message was never kept from it.
pub(super) fn interrupt_acknowledge(
    kernel: &mut Kernel,
    id: DomainId,
    (): (),
    arguments: Arguments,
) -> Result {
    let number = kernel.slots(id).interrupt(arguments.slot)?;
    let interrupt = kernel.interrupts.get_mut(number).ok_or(CallError::BadSlot)?;
    let was_too_much = interrupt.acknowledged();
    let event = interrupt.event;
    let Some(line) = interrupt.line() else {
        let (address, data) = apic::message(number, kernel.machine.local_apic.identity());
        return Ok(Answer::Words([address, data.into(), 0, 0]));
    };
    if line.is_level() || was_too_much {
        kernel.machine.io_apic.unmask(line, number);
    }
    if was_too_much {
        kernel.notify(event);
    }
    Ok(Answer::Words([0; 4]))
}

/// Empty a slot of the caller.
pub(super) fn slot_drop(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    kernel.slots_mut(id).take(arguments.slot)?;
    Ok(Answer::Done)
}

/// Give up rights to what is in a slot of the caller.
pub(super) fn slot_limit(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let kept = Rights::from_bits_truncate(arguments.a[0] as u32);
    kernel.slots_mut(id).limit(arguments.slot, kept)?;
    Ok(Answer::Done)
}

/// What a slot of the caller holds, and whether the domain behind it lives.
pub(super) fn slot_info(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let held = *kernel.slots(id).get(arguments.slot)?;
    let peer = match held {
        Capability::Domain(domain, _) => kernel.resolve(domain).ok(),
        Capability::Gate(gate) => kernel.domain_of(gate.server).ok(),
        Capability::Event { target, .. } => kernel.domain_of(target).ok(),
        _ => None,
    };
    let (lives, ended) =
        peer.map_or((false, 0), |peer| (kernel.is_alive(peer), kernel.domain(peer).lives_ended));
    Ok(Answer::Words([held.kind() as u64, held.rights().bits().into(), ended.into(), lives.into()]))
}

/// The next gate into the caller whose holder has ended a life. The cursor has the holder's index from bit 8
/// on, and the slot to go on from below.
pub(super) fn gone_read(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let me = kernel.peer(id)?;
    let cursor = match arguments.a[0] {
        0 => u64::from(take_lowest(&mut kernel.domain_mut(id).gone)) << 8,
        cursor => cursor,
    };
    let (client, first) = (cursor >> 8, cursor as usize & 0xff);
    let Some(client) = usize::try_from(client).ok().and_then(DomainId::new) else {
        return Ok(Answer::Words([0; 4]));
    };
    let found = kernel.domain(client).planned.gates_from(first).find(|(_, gate)| gate.server == me);
    match found.map(|(slot, gate)| (slot, gate.badge)) {
        Some((slot, badge)) => {
            let next = (client.index() << 8 | (slot + 1)) as u64;
            Ok(Answer::Words([next, badge.into(), 0, 0]))
        }
        None => {
            kernel.context_mut(arguments.thread).set_first(0);
            Ok(Answer::Again)
        }
    }
}

/// Takes the lowest domain out of a set; 0, which is nobody's index, if there is none.
fn take_lowest(set: &mut DomainSet) -> u32 {
    let lowest = set.trailing_zeros() % DomainSet::BITS;
    *set &= !(1 << lowest);
    lowest
}

/// How much of what the kernel keeps for a domain is in use.
pub(super) fn figures(kernel: &mut Kernel, _id: DomainId, (): (), arguments: Arguments) -> Result {
    let of = usize::try_from(arguments.a[0]).ok().and_then(DomainId::new).ok_or(CallError::BadArgument)?;
    let domain = kernel.domain(of);
    let (slots, mappings) = (kernel.slots(of).iter().count() as u64, domain.mappings.iter().count() as u64);
    let events = kernel.thread(of).map_or(0, |thread| kernel.threads.get(thread).pending());
    Ok(Answer::Words([domain.space.pages_used(), mappings, slots, events]))
}

/// Give up the caller's priority.
pub(super) fn retire(kernel: &mut Kernel, _id: DomainId, (): (), arguments: Arguments) -> Result {
    let timer = &kernel.machine.timer;
    let [budget, period] = [RETIRED_BUDGET_US, RETIRED_PERIOD_US].map(|us| timer.whole_ticks(us.into()));
    kernel.threads.retire(arguments.thread, Budget::new(budget, period))?;
    Ok(Answer::Done)
}

/// Read the kernel's log.
pub(super) fn log_read(kernel: &mut Kernel, id: DomainId, (): (), _arguments: Arguments) -> Result {
    // The rest of what one reader has begun to take is nobody else's.
    if kernel.log.reader().is_none_or(|reader| reader.target.domain != id) {
        return Ok(Answer::Full(0, 0, [0; 4]));
    }
    let (words, count) = kernel.log.read();
    let ending = count == 0 && kernel.log_is_read();
    Ok(Answer::Full(if ending { LOG_ENDING } else { 0 }, count, words))
}

/// Read the next entry of the census.
pub(super) fn census_read(kernel: &mut Kernel, _id: DomainId, (): (), arguments: Arguments) -> Result {
    let cursor = usize::try_from(arguments.a[0]).unwrap_or(usize::MAX);
    // One domain's slots a step at most: past those that are empty, then on to the next domain.
    for at in cursor..(TABLE_ENTRIES * MAX_SLOTS).min(cursor.saturating_add(MAX_SLOTS)) {
        let Some(holder) = DomainId::new(at / MAX_SLOTS) else { continue };
        if let Ok(capability) = kernel.slots(holder).get((at % MAX_SLOTS) as u64) {
            let (slot, rights) = ((at % MAX_SLOTS) as u64, u64::from(capability.rights().bits()));
            let packed =
                (at / MAX_SLOTS) as u64 | slot << 8 | rights << 16 | (capability.kind() as u64) << 32;
            let [low, high] = kernel.domain(holder).name.to_words();
            return Ok(Answer::Words([at as u64 + 1, packed, low, high]));
        }
    }
    let next = cursor.saturating_add(MAX_SLOTS);
    if next < TABLE_ENTRIES * MAX_SLOTS {
        kernel.context_mut(arguments.thread).set_first(next as u64);
        return Ok(Answer::Again);
    }
    Ok(Answer::Words([0; 4]))
}

/// End the system.
pub(super) fn shutdown(kernel: &mut Kernel, id: DomainId, (): (), arguments: Arguments) -> Result {
    let end = SystemEnd::from_number(arguments.a[0]).ok_or(CallError::BadArgument)?;
    let name = kernel.domain(id).name;
    kernel.say(format_args!("{name} ends the system: {end:?}"));
    kernel.end_system(end);
    Ok(Answer::Done)
}
