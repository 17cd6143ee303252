//! Heir: borrows memory of domains that end, and tells when it has lost it. Ends when it has lost all.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::time::Duration;

use cloison_abi::{CallError, Rights, limits::PAGE_BYTES};
use cloison_rt::{
    log,
    sys::{
        Badge, Instant, Message, Received, Slot, info,
        mapped::is_free,
        peer::{PEER_FAILED, gone_clients},
        region_info, region_map, reply_wait, slot_drop,
    },
    time::after,
};
use keeper_api::gift;

cloison_rt::entry!(main);

/// Where the first loan is seen; the next ones follow, each at the same distance, so that all of them share one page
/// table.
const PLACE: u64 = 0x3000_0000;
const DISTANCE: u64 = 100 * PAGE_BYTES;

/// How often it looks: a domain that is stopped by a handler without budget takes some hundred looks.
const MOST_LOOKS: u32 = 5000;

fn main() -> Result<(), &'static str> {
    let plot = info::get().slot::<info::Region>("plot").ok_or("it has no plot")?;
    let mut heir = Heir { plot, loans: Vec::new() };
    let mut left = info::get().clients().count();
    let mut gone = Vec::new();
    let mut looks = 0;
    let mut answer = Message::default();
    while left > 0 {
        // A domain that is stopped is gone first; then, step by step, comes back what it has lent.
        let again = if gone.is_empty() { Instant::NEVER } else { after(Duration::from_millis(1)) };
        let received = reply_wait(answer, PEER_FAILED, again);
        answer = Message::default();
        match received {
            Received::Message { badge, message } => answer = gift::answer(&mut heir, badge, message),
            Received::Events(_) => gone.extend(gone_clients()),
            Received::TimedOut => {}
        }
        gone.retain(|badge| heir.has_lent(*badge));
        let before = gone.len();
        gone.retain(|badge| !heir.has_lost(*badge));
        left -= before - gone.len();
        looks += 1;
        if looks == MOST_LOOKS {
            return Err("what was lent does not come back");
        }
    }
    Ok(())
}

/// Memory that a client has lent.
struct Loan {
    badge: Badge,
    slot: Slot,
    pages: u64,
}

/// Where what a client lends is seen.
fn place(client: Badge) -> u64 {
    PLACE + u64::from(client.0) * DISTANCE
}

struct Heir {
    plot: Slot,
    loans: Vec<Loan>,
}

impl Heir {
    fn has_lent(&self, badge: Badge) -> bool {
        self.loans.iter().any(|loan| loan.badge == badge)
    }

    /// Whether nothing is left here of what a client has lent.
    fn has_lost(&mut self, badge: Badge) -> bool {
        let Some(number) = self.loans.iter().position(|loan| loan.badge == badge) else { return false };
        let Loan { slot, pages, .. } = self.loans[number];
        let address = place(badge);
        let ends = [address, address + (pages - 1) * PAGE_BYTES];
        let lost = region_info(slot) == Err(CallError::BadSlot)
            && ends.into_iter().all(|end| is_free(self.plot, end) == Ok(true));
        if lost {
            let name = info::get().clients().find(|client| client.channel.badge == badge);
            log!("what {} lent is back", name.map_or("nobody", |client| client.channel.peer.as_str()));
            self.loans.swap_remove(number);
        }
        lost
    }
}

impl gift::Server for Heir {
    /// Of every second client only the mapping is kept, and no slot.
    fn take(&mut self, badge: Badge, slot: u8) -> Result<gift::Taken, gift::Refusal> {
        let slot = Slot(slot);
        let pages = region_info(slot).map_err(|_| gift::Refusal::CannotMap)?.pages;
        region_map(slot, place(badge), 0, pages, Rights::READ | Rights::WRITE)
            .map_err(|_| gift::Refusal::CannotMap)?;
        if badge.0 % 2 == 1 {
            // It has just been used.
            let _ = slot_drop(slot);
        }
        self.loans.push(Loan { badge, slot, pages });
        Ok(gift::Taken { word: 0 })
    }
}
