//! Allowing and denying: each call is judged by its class, and by no other.

use alloc::format;

use cloison_abi::{
    CallError, CallNumber, ObjectKind, Rights,
    access::{Class, Classes},
    call::{EVERYONE, NO_DEADLINE, POLL, SLOT_SELF},
    limits::KERNEL_BASE,
};
use cloison_sys::{
    Slot,
    access::{access_allow, access_deny},
    build::{
        domain_give_domain, domain_give_event, domain_give_gate, domain_give_region, domain_give_right,
        domain_stop,
    },
};

use crate::{
    child::{Call, Child},
    guests::{self, GUEST},
    outcome::{Outcome, Wrong, refused, same},
    site::{RIGHT, Site, number},
};

/// What a child that tries everything holds, slot by slot: a gate into its peer, an event of it, memory, the peer
/// itself, all rights, itself.
const GATE: u8 = 10;
const EVENT: u8 = 11;
const REGION: u8 = 12;
const PEER: u8 = 13;
const BUILDER: u8 = 14;
const CENSUS: u8 = 15;
const LOG: u8 = 16;
const SHUTDOWN: u8 = 17;
const ITSELF: u8 = 18;
const MONITOR: u8 = 19;
/// A slot that is empty at first.
const EMPTY: u8 = 20;
/// Slots of a server for what is lent to it.
const LOANS: (u8, u8) = (30, 2);

const DENIED: i32 = number(CallError::Denied);

pub fn denied_is_refused(site: &mut Site) -> Outcome {
    for (_, call) in CallNumber::ALL {
        let (Some(class), Some(attempt)) = (call.class(), attempt(call)) else { continue };
        let (child, _) = able(site)?;
        access_deny(child.domain, None, class.bit())?;
        let (refusal, _) = child.call(call, attempt.1, attempt.2)?;
        access_allow(child.domain, None, class.bit())?;
        access_deny(child.domain, None, Classes::all() - class.bit())?;
        let (answer, _) = child.call(call, attempt.1, attempt.2)?;
        if refusal != DENIED || answer == DENIED {
            let found = format!("{call:?}: {refusal} where it is denied, {answer} where all else is");
            return Err(Wrong::new(found));
        }
        site.clear()?;
    }
    Ok(())
}

/// How a call is made so that it finds its objects and, where nobody forbids it, does no harm. None for those that are
/// not judged, and for those that [`shaping_is_judged`] tries.
fn attempt(call: CallNumber) -> Option<Call> {
    let (slot, arguments) = match call {
        CallNumber::ReplyWait
        | CallNumber::Wait
        | CallNumber::Exit
        | CallNumber::Panic
        | CallNumber::Clock
        | CallNumber::RegionUnmap
        | CallNumber::RegionInfo
        | CallNumber::SlotInfo
        | CallNumber::SlotDrop
        | CallNumber::SlotLimit
        | CallNumber::InterruptAcknowledge
        | CallNumber::GoneRead
        | CallNumber::Retire
        | CallNumber::RegionCarve
        | CallNumber::RegionDelete
        | CallNumber::RegionBack
        | CallNumber::RegionVacate => return None,
        CallNumber::Call => (GATE, [0; 6]),
        CallNumber::Signal => (EVENT, [0; 6]),
        // A deadline in the past: it does not wait.
        CallNumber::SignalReplyWait => (EVENT, [0, 0, 0, 0, 0, POLL]),
        CallNumber::RegionGrant => (REGION, [GATE.into(), 1, 0, 0, 0, 0]),
        CallNumber::RegionMap => (REGION, [KERNEL_BASE, 0, 1, 1, 0, 0]),
        CallNumber::RegionRevoke => (REGION, [0; 6]),
        CallNumber::DebugWrite => (0, [0; 6]),
        CallNumber::LogRead => (LOG, [0; 6]),
        CallNumber::CensusRead | CallNumber::Figures => (CENSUS, [1, 0, 0, 0, 0, 0]),
        CallNumber::Shutdown => (SHUTDOWN, [0; 6]),
        CallNumber::AskRead => (MONITOR, [0; 6]),
        CallNumber::VerdictSet | CallNumber::VerdictRead => (MONITOR, [1, 1, 0, 0, 0, 0]),
        // It is neither held nor let go.
        CallNumber::DomainPause => (PEER, [2, 0, 0, 0, 0, 0]),
        CallNumber::FaultRead
        | CallNumber::DomainInfo
        | CallNumber::DomainStop
        | CallNumber::DomainReset
        | CallNumber::DomainAttend => (PEER, [0; 6]),
        // There is no such part.
        CallNumber::DomainCapture | CallNumber::DomainRestore => (PEER, [u64::MAX, 0, 0, 0, 0, 0]),
        CallNumber::DomainStart => (PEER, [KERNEL_BASE, 0, 0, 0, 0, 0]),
        CallNumber::AccessSet => (PEER, [EVERYONE, 0, 0, 0, 0, 0]),
        CallNumber::DomainCreate => (BUILDER, [GATE.into(), REGION.into(), 0, 0, 0, 0]),
        CallNumber::DomainConfigure => (PEER, [0; 6]),
        CallNumber::DomainMap => (PEER, [REGION.into(), KERNEL_BASE, 0, 1, 1, 0]),
        CallNumber::DomainGiveRegion => (PEER, [SLOT_SELF.into(), REGION.into(), 1, 0, 0, 0]),
        CallNumber::DomainGiveGate | CallNumber::DomainGiveEvent => {
            (PEER, [SLOT_SELF.into(), ITSELF.into(), 0, 0, 0, 0])
        }
        CallNumber::DomainGiveDomain => (PEER, [SLOT_SELF.into(), ITSELF.into(), u64::MAX, 0, 0, 0]),
        CallNumber::DomainGiveInterrupt => (PEER, [SLOT_SELF.into(), BUILDER.into(), u64::MAX, 0, 0, 0]),
        CallNumber::DomainGivePorts => (PEER, [BUILDER.into(), 0, 0, 0, 0, 0]),
        CallNumber::DomainGiveRight => (PEER, [SLOT_SELF.into(), BUILDER.into(), u64::MAX, 0, 0, 0]),
        CallNumber::DomainGiveGuest => (PEER, [0, REGION.into(), REGION.into(), 0, 0, 0]),
        CallNumber::GuestSpace => (GUEST, [2, 0, 0, 0, 0, 0]),
        CallNumber::GuestMap | CallNumber::GuestUnmap => (GUEST, [0, KERNEL_BASE, 1, 0, 0, 0]),
        CallNumber::GuestEnter => (GUEST, [0; 6]),
        CallNumber::DomainDestroy => (ITSELF, [0; 6]),
        CallNumber::RegionDevice => (BUILDER, [GATE.into(), 1, 1, 0, 0, 0]),
    };
    Some((call, slot, arguments))
}

/// A child that holds all that there is to hold, and its peer.
fn able(site: &mut Site) -> Outcome<(Child, Child)> {
    let (peer, region) = (site.child()?, site.region(1)?);
    let child = guests::made(site, &[])?.child;
    domain_give_gate(child.domain, Slot(GATE), peer.domain, 0, LOANS)?;
    domain_give_event(child.domain, Slot(EVENT), peer.domain, 3)?;
    domain_give_region(child.domain, Slot(REGION), region, Rights::READ | Rights::WRITE | Rights::GRANT)?;
    let both = Rights::BUILD | Rights::HANDLE_FAULT | Rights::MANAGE;
    domain_give_domain(child.domain, Slot(PEER), peer.domain, both)?;
    domain_give_domain(child.domain, Slot(ITSELF), child.domain, both)?;
    for (slot, kind) in [
        (BUILDER, ObjectKind::BuilderRight),
        (CENSUS, ObjectKind::CensusRight),
        (LOG, ObjectKind::LogRight),
        (SHUTDOWN, ObjectKind::ShutdownRight),
        (MONITOR, ObjectKind::MonitorRight),
    ] {
        domain_give_right(child.domain, Slot(slot), RIGHT, kind, 3)?;
    }
    Ok((child, peer))
}

/// A child denies itself something toward everyone.
fn give_up(classes: Classes) -> Call {
    (CallNumber::AccessSet, SLOT_SELF, [EVERYONE, classes.bits().into(), 0, 0, 0, 0])
}

pub fn shaping_is_judged(site: &mut Site) -> Outcome {
    /// Where no memory and no device is.
    const NOTHING: u64 = 0xe000_0000;
    let (child, _) = able(site)?;
    let device = (CallNumber::RegionDevice, BUILDER, [EMPTY.into(), NOTHING, 2, 0, 0, 0]);
    let carve = (CallNumber::RegionCarve, EMPTY, [u64::from(EMPTY) + 1, 0, 1, 0, 0, 0]);
    let delete = (CallNumber::RegionDelete, EMPTY, [0; 6]);
    let refused = child.calls(&[device, give_up(Classes::BUILD), carve, delete])?;
    same([refused[0].0, refused[2].0, refused[3].0], [0, DENIED, DENIED])?;
    let delete_part = (CallNumber::RegionDelete, EMPTY + 1, [0; 6]);
    // The region of the life before is there still: nobody holds it any more, and its place is taken.
    let elsewhere = (CallNumber::RegionDevice, BUILDER, [EMPTY.into(), NOTHING + 0x10_0000, 2, 0, 0, 0]);
    let allowed = child.calls(&[elsewhere, give_up(Classes::HOLD), carve, delete_part, delete])?;
    same(allowed.iter().all(|(status, _)| *status == 0), true)
}

pub fn lender_is_judged(site: &mut Site) -> Outcome {
    /// Where the borrower maps what is lent to it.
    const ADDRESS: u64 = 0x2000_0000;
    for (is_denied, expected) in [(false, 0), (true, DENIED)] {
        let ((lender, borrower), waker) = (able(site)?, site.child()?);
        domain_give_event(waker.domain, Slot(EVENT), borrower.domain, 3)?;
        let wait = (CallNumber::Wait, 0, [0, 0, 0, 0, 1 << 3, NO_DEADLINE]);
        borrower.begin(&[wait, (CallNumber::RegionMap, LOANS.0, [ADDRESS, 0, 1, 1, 0, 0])])?;
        // The lender has faulted afterwards, and its loan stays until it is started or stopped.
        same(lender.call(CallNumber::RegionGrant, REGION, [GATE.into(), 1, 0, 0, 0, 0])?.0, 0)?;
        if is_denied {
            access_deny(lender.domain, Some(borrower.domain), Classes::SHARE)?;
        }
        waker.call(CallNumber::Signal, EVENT, [0; 6])?;
        same(borrower.results(2)?[1].0, expected)?;
        let (again, _) = lender.call(CallNumber::RegionGrant, REGION, [GATE.into(), 1, 0, 0, 0, 0])?;
        same(again == DENIED, is_denied)?;
        site.clear()?;
    }
    Ok(())
}

pub fn oneself(site: &mut Site) -> Outcome {
    let (child, _) = able(site)?;
    let call = (CallNumber::Call, GATE, [0; 6]);
    let found = child.calls(&[give_up(Classes::CALL), call])?;
    same([found[0].0, found[1].0], [0, DENIED])?;
    // Its peer does not live; that is what it hears in its next life.
    same(child.calls(&[call])?[0].0, number(CallError::PeerFailed))?;
    access_deny(child.domain, None, Classes::CALL)?;
    let allow = (CallNumber::AccessSet, SLOT_SELF, [EVERYONE, Classes::CALL.bits().into(), 1, 0, 0, 0]);
    let found = child.calls(&[allow, call])?;
    same([found[0].0, found[1].0], [number(CallError::MissingRight), DENIED])?;
    same(child.calls(&[call])?[0].0, DENIED)
}

pub fn not_the_living(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.count()?;
    refused(access_deny(child.domain, None, Classes::all()), CallError::BadState)?;
    domain_stop(child.domain)?;
    access_deny(child.domain, None, Classes::all()).map_err(Wrong::from)
}

pub fn new_is_free(site: &mut Site) -> Outcome {
    let (child, peer) = (site.child()?, site.child()?);
    access_deny(child.domain, Some(peer.domain), Class::Signal.bit())?;
    site.destroy(peer.domain)?;
    let next = site.child()?;
    domain_give_event(child.domain, Slot(EVENT), next.domain, 3)?;
    same(child.call(CallNumber::Signal, EVENT, [0; 6])?.0, 0)
}
