//! Ends: what nobody brings back, what goes with a lender, and what goes with a handler.

use core::time::Duration;

use cloison_abi::{CallError, CallNumber, ObjectKind, Rights, call::NO_DEADLINE, limits::IMAGE_ADDRESS};
use cloison_rt::time::after;
use cloison_sys::{
    Slot,
    build::{
        Configuration, domain_attend, domain_configure, domain_give_domain, domain_give_event,
        domain_give_gate, domain_give_region, domain_give_right, domain_reset,
    },
    slot_info, wait,
};

use crate::{
    child::{Call, Child},
    outcome::{Outcome, refused, same},
    site::{RIGHT, Site, configuration, number},
};

/// What children hold, slot by slot: a gate, an event, a region or the right to make one, a domain, a region.
const GATE: u8 = 10;
const EVENT: u8 = 11;
const REGION: u8 = 12;
const DOMAIN: u8 = 13;
const BUILDER: u8 = 14;
/// The slot of a borrower for what is lent to it.
const LOAN: u8 = 30;
/// Where a domain maps what it has no page tables for yet.
const ADDRESS: u64 = IMAGE_ADDRESS + 0x1_0000;
/// Waits for the event that [`Pair::wake`] sets.
const SLEEP: Call = (CallNumber::Wait, 0, [0, 0, 0, 0, 1 << 3, NO_DEADLINE]);

/// A lender, a borrower, and one that wakes the borrower when the lender is done.
struct Pair {
    lender: Child,
    borrower: Child,
    waker: Child,
}

impl Pair {
    fn new(site: &mut Site) -> Outcome<Self> {
        let (lender, borrower, waker) = (site.child()?, site.child()?, site.child()?);
        domain_give_gate(lender.domain, Slot(GATE), borrower.domain, 0, (LOAN, 1))?;
        domain_give_event(waker.domain, Slot(EVENT), borrower.domain, 3)?;
        Ok(Self { lender, borrower, waker })
    }

    fn wake(&self) -> Outcome {
        same(self.waker.call(CallNumber::Signal, EVENT, [0; 6])?.0, 0)
    }
}

/// The call by which a lender lends, to read, what a slot holds.
fn lend(slot: u8) -> Call {
    (CallNumber::RegionGrant, slot, [GATE.into(), Rights::READ.bits().into(), 0, 0, 0, 0])
}

pub fn nobody_attends_the_ended(site: &mut Site) -> Outcome {
    let child = site.child()?;
    child.last_call(CallNumber::Exit, 0)?;
    refused(domain_attend(child.domain), CallError::BadState)
}

pub fn loan_is_not_passed_on(site: &mut Site) -> Outcome {
    let (pair, third, region) = (Pair::new(site)?, site.child()?, site.region(1)?);
    domain_give_region(pair.lender.domain, Slot(REGION), region, Rights::READ | Rights::GRANT)?;
    domain_give_domain(pair.borrower.domain, Slot(DOMAIN), third.domain, Rights::BUILD)?;
    let map = (CallNumber::DomainMap, DOMAIN, [LOAN.into(), ADDRESS, 0, 1, 1, 0]);
    pair.borrower.begin(&[SLEEP, map])?;
    same(pair.lender.calls(&[lend(REGION)])?[0].0, 0)?;
    pair.wake()?;
    same(pair.borrower.results(2)?[1].0, number(CallError::MissingRight))
}

pub fn loan_ends_with_its_lender(site: &mut Site) -> Outcome {
    /// Where no memory and no device is.
    const NOTHING: u64 = 0xe020_0000;
    let pair = Pair::new(site)?;
    domain_give_right(pair.lender.domain, Slot(BUILDER), RIGHT, ObjectKind::BuilderRight, 0)?;
    pair.borrower.begin(&[SLEEP, (CallNumber::RegionInfo, LOAN, [0; 6])])?;
    let device = (CallNumber::RegionDevice, BUILDER, [REGION.into(), NOTHING, 1, 0, 0, 0]);
    let results = pair.lender.calls(&[device, lend(REGION)])?;
    same([results[0].0, results[1].0], [0; 2])?;
    site.destroy(pair.lender.domain)?;
    pair.wake()?;
    same(pair.borrower.results(2)?[1].0, number(CallError::BadSlot))
}

/// It waits for what its handler decides, and the handler ends instead: it ends too.
pub fn patient_ends_with_its_handler(site: &mut Site) -> Outcome {
    let (patient, handler, waker) = (site.child()?, site.child()?, site.child()?);
    let attended = Configuration { handler: Some((handler.domain, 4)), ..configuration() };
    domain_configure(patient.domain, &attended)?;
    domain_give_event(waker.domain, Slot(EVENT), handler.domain, 3)?;
    handler.begin(&[SLEEP, (CallNumber::Exit, 0, [0; 6])])?;
    wait(0, after(Duration::from_millis(1)));
    patient.begin(&[(CallNumber::Clock, 0, [0; 6])])?;
    while slot_info(patient.domain)?.is_alive {
        wait(0, after(Duration::from_millis(1)));
    }
    same(waker.call(CallNumber::Signal, EVENT, [0; 6])?.0, 0)?;
    wait(0, after(Duration::from_millis(5)));
    same(slot_info(handler.domain)?.is_alive, false)?;
    refused(domain_reset(patient.domain), CallError::BadState)
}

pub fn without_tables_nothing_runs(site: &mut Site) -> Outcome {
    /// Enough for a reset to take many steps.
    const TABLES: u64 = 2048;
    let quota = site.region(TABLES)?;
    let (patient, handler, other) = (site.child_with(quota)?, site.child()?, site.child()?);
    let attended = Configuration { handler: Some((handler.domain, 4)), ..configuration() };
    domain_configure(patient.domain, &attended)?;
    domain_give_domain(other.domain, Slot(DOMAIN), patient.domain, Rights::HANDLE_FAULT)?;
    handler.begin(&[SLEEP])?;
    wait(0, after(Duration::from_millis(1)));
    patient.begin(&[(CallNumber::Clock, 0, [0; 6])])?;
    while slot_info(patient.domain)?.is_alive {
        wait(0, after(Duration::from_millis(1)));
    }
    other.begin(&[(CallNumber::DomainReset, DOMAIN, [0; 6])])?;
    // In the middle of a reset nothing can be given; else this gate is one into itself.
    let gate = || domain_give_gate(patient.domain, Slot(GATE), patient.domain, 0, (0, 0));
    while gate() == Err(CallError::SelfCall) && slot_info(other.domain)?.is_alive {
        wait(0, after(Duration::from_micros(200)));
    }
    refused(gate(), CallError::BadState)?;
    site.destroy(handler.domain)?;
    same(slot_info(patient.domain)?.is_alive, false)?;
    same(other.results(1)?[0].0, 0)
}
