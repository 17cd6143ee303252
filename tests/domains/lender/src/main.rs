//! Lender: lends memory, takes it back, and checks what the borrower could do with it meanwhile.

#![no_std]
#![no_main]

use borrower_api::{Failure, loan};
use cloison_abi::{CallError, Rights};
use cloison_rt::sys::{Slot, info, mapped::MappedRegion, memory::SharedMemory, region_grant, region_revoke};
use watcher_api::{FaultSet, watch};

cloison_rt::entry!(main);

const WORD: u64 = 0x1234_5678_9abc_def0;

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let missing = "the plan lacks a grant";
    let shared = page.find::<info::Use>("watch").and_then(SharedMemory::of).ok_or("no shared page")?;
    let watcher = watch::Client::new(page.slot::<info::Use>("watch").ok_or(missing)?);
    let lender = Lender {
        plot: page.slot::<info::Region>("plot").ok_or(missing)?,
        gate: page.slot::<info::Use>("loan").ok_or(missing)?,
    };
    let acts: [(&str, Act); 4] = [
        ("memory that is lent is seen as it is", Lender::lend),
        ("a place for grants that is taken is not overwritten", Lender::lend_more),
        ("memory that was taken back is gone for the borrower", Lender::take_back),
        ("memory that was taken back can be lent again, with no more rights than held", Lender::lend_again),
    ];
    for (number, (name, act)) in acts.iter().enumerate() {
        watcher_api::write_name(&shared, name);
        watcher.announce(number as u16, FaultSet::NONE, 0, 0).map_err(|_| "the watcher does not answer")?;
        watcher.end(act(&lender)).map_err(|_| "the watcher does not answer")?;
    }
    watcher.finish(acts.len() as u16).map(drop).map_err(|_| "the watcher does not answer")
}

/// Returns 0 if all was well.
type Act = fn(&Lender) -> i32;

struct Lender {
    plot: Slot,
    gate: Slot,
}

impl Lender {
    fn borrower(&self) -> loan::Client {
        loan::Client::new(self.gate)
    }

    /// 0 if the borrower sees what was written here, and cannot write.
    fn lend(&self) -> i32 {
        let memory = MappedRegion::writable(self.plot);
        if !memory.is_ok_and(|memory| memory.write(0, &WORD.to_le_bytes())) {
            return 1;
        }
        let Ok(slot) = region_grant(self.plot, self.gate, Rights::READ) else { return 2 };
        let expected = loan::Lent { word: WORD, is_writable: false };
        if self.borrower().lend(slot.0) == Ok(expected) { 0 } else { 3 }
    }

    fn lend_more(&self) -> i32 {
        i32::from(region_grant(self.plot, self.gate, Rights::READ) != Err(CallError::SlotTaken))
    }

    /// 0 if the borrower fails when it looks again: its fault is the watcher's to judge.
    fn take_back(&self) -> i32 {
        if region_revoke(self.plot).is_err() {
            return 1;
        }
        let failed = Err(Failure::Call(CallError::PeerFailed));
        if self.borrower().look() == failed { 0 } else { 2 }
    }

    /// 0 if the place in the borrower is free again, and takes no right that the lender does not hold.
    fn lend_again(&self) -> i32 {
        let too_much = region_grant(self.plot, self.gate, Rights::READ | Rights::EXECUTE);
        if too_much != Err(CallError::MissingRight) {
            return 1;
        }
        i32::from(region_grant(self.plot, self.gate, Rights::READ).is_err())
    }
}
