//! Borrower: looks into memory that another domain lends it, for as long as it is lent.

#![no_std]
#![no_main]

use borrower_api::loan;
use cloison_abi::{CallError, FaultKind};
use cloison_rt::{
    start,
    sys::{
        Badge, Instant, Message, Received, Slot, info, mapped::MappedRegion, memory::SharedMemory, reply_wait,
    },
};
use watcher_api::{FaultSet, watch};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let entry = info::get().find::<info::Use>("watch").ok_or("the plan gives no watcher")?;
    let page = SharedMemory::of(entry).ok_or("the watcher shares no page")?;
    let watcher = watch::Client::find("watch").map_err(|_| "the watcher has no gate")?;
    let told = if start::argument() == 0 {
        watcher.place(start::entry(), stack_top()).map(drop)
    } else {
        // The watcher has seen the fault and started this domain again. It goes on lending.
        watcher.finish(1).map(drop)
    };
    told.map_err(|_| "the watcher does not answer")?;
    let mut borrower = Borrower { watcher, page, loan: None };
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
    loan: Option<MappedRegion>,
}

impl loan::Server for Borrower {
    fn lend(&mut self, _client: Badge, slot: u8) -> Result<loan::Lent, loan::Refusal> {
        let is_writable = !matches!(MappedRegion::writable(Slot(slot)), Err(CallError::MissingRight));
        let loan = MappedRegion::read_only(Slot(slot)).map_err(|_| loan::Refusal::CannotMap)?;
        let word = first_word(self.loan.insert(loan))?;
        Ok(loan::Lent { word, is_writable })
    }

    fn look(&mut self, _client: Badge) -> Result<loan::Looked, loan::Refusal> {
        let loan = self.loan.as_ref().ok_or(loan::Refusal::CannotMap)?;
        watcher_api::write_name(&self.page, "memory that was taken back is not readable");
        // A watcher that does not answer will say that it has seen no act.
        let _ = self.watcher.announce(0, FaultSet::of(&[FaultKind::ReadDenied]), loan.address(), 0);
        Ok(loan::Looked { word: first_word(loan)? })
    }
}

/// The first word of the loan. If it has been taken back, this is a fault.
fn first_word(loan: &MappedRegion) -> Result<u64, loan::Refusal> {
    let mut word = [0; 8];
    loan.read(0, &mut word).then(|| u64::from_le_bytes(word)).ok_or(loan::Refusal::CannotMap)
}

/// The top of the stack: `main` runs in its first page.
fn stack_top() -> u64 {
    let here = 0_u8;
    ((&raw const here) as u64).next_multiple_of(cloison_abi::limits::PAGE_BYTES)
}
