//! Borrower: looks into memory that another domain lends it, for as long as it is lent.

#![no_std]
#![no_main]

use borrower_api::loan;
use cloison_abi::{CallError, FaultKind, Rights, info::InfoKind};
use cloison_rt::sys::{Instant, Message, Received, Slot, info, memory::SharedMemory, region_map, reply_wait};
use watcher_api::{FaultSet, watch};

cloison_rt::entry!(main);

/// Where the loan is seen: nothing else is near.
const PLACE: u64 = 0x2000_0000;

#[allow(unsafe_code, reason = "its address is taken, it is never called")]
unsafe extern "C" {
    /// Where the builder started this domain.
    fn _start();
}

fn main() -> Result<(), &'static str> {
    let entry = info::get().find(InfoKind::Use, "watch").ok_or("the plan gives no watcher")?;
    let page = SharedMemory::of(entry).ok_or("the watcher shares no page")?;
    let watcher = watch::Client::find("watch").map_err(|_| "the watcher has no gate")?;
    let told = if cloison_rt::start::argument() == 0 {
        watcher.place(_start as *const () as u64, stack_top()).map(drop)
    } else {
        // The watcher has seen the fault and started this domain again. It goes on lending.
        watcher.finish(1).map(drop)
    };
    told.map_err(|_| "the watcher does not answer")?;
    let mut borrower = Borrower { watcher, page };
    let mut answer = Message::default();
    loop {
        if let Received::Message { badge, message } = reply_wait(answer, 0, Instant::NEVER) {
            answer = loan::answer(&mut borrower, badge, message);
        }
    }
}

struct Borrower {
    watcher: watch::Client,
    page: SharedMemory,
}

impl loan::Server for Borrower {
    fn lend(&mut self, _client: u64, slot: u8) -> Result<loan::Lent, loan::Refusal> {
        let map = |rights| region_map(Slot(slot), PLACE, 0, 1, rights);
        let is_writable = map(Rights::READ | Rights::WRITE) != Err(CallError::MissingRight);
        map(Rights::READ).map_err(|_| loan::Refusal::CannotMap)?;
        Ok(loan::Lent { word: read_word(PLACE), is_writable })
    }

    fn look(&mut self, _client: u64) -> Result<loan::Looked, loan::Refusal> {
        watcher_api::write_name(&self.page, "memory that was taken back is not readable");
        // A watcher that does not answer will say that it has seen no act.
        let _ = self.watcher.announce(0, FaultSet::of(&[FaultKind::ReadDenied]), PLACE, 0);
        Ok(loan::Looked { word: read_word(PLACE) })
    }
}

/// Reads a word of the loan.
#[allow(unsafe_code, reason = "the loan may be taken back at any time; reading it then is the test")]
fn read_word(address: u64) -> u64 {
    // SAFETY: the page is mapped for reading, or was and now faults.
    unsafe { core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
}

/// The top of the stack: `main` runs in its first page.
fn stack_top() -> u64 {
    let here = 0_u8;
    ((&raw const here) as u64).next_multiple_of(cloison_abi::limits::PAGE_BYTES)
}
