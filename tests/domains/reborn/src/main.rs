//! Reborn: does itself all harm that it can, and lends all that it has, in each of its lives. A new life must not
//! notice anything of the last one.

#![no_std]
#![no_main]

mod memory;

use cloison_abi::{
    Rights,
    limits::{MAX_SLOTS, PAGE_BYTES},
};
use cloison_rt::{
    log,
    sys::{
        Instant, Message, Received, Slot, call, debug_write, info, pack, region_grant, region_info,
        region_map, reply_wait, signal, slot_drop, slot_info, slot_limit, wait,
    },
};
use keeper_api::{digest, keep};

cloison_rt::entry!(main);

/// Where this domain sees its own memory, where it sees a gift, and where there is room for more, counted from
/// the end of its heap: so near that all of it shares the heap's page tables.
const OWN: u64 = 0x1_0000;
const GIFT: u64 = 0x2_0000;
const FREE: u64 = 0x3_0000;
/// Far enough apart that each mapping needs page tables of its own.
const STRIDE: u64 = 1 << 39;
const PAGES: u64 = 2;
/// The last life, which does no harm.
const LAST: u32 = 6;
const BOTH: Rights = Rights::READ.union(Rights::WRITE);

fn main() -> Result<(), &'static str> {
    // Before anything else: the events that this life finds.
    let events = wait(u64::MAX, Instant::PAST);
    let page = info::get();
    let missing = "the plan lacks a grant";
    let (heap, bytes) = page.heap();
    let me = Reborn {
        end: (heap + bytes).next_multiple_of(PAGE_BYTES),
        plot: page.slot::<info::Region>("plot").ok_or(missing)?,
        keep: page.slot::<info::Use>("keep").ok_or(missing)?,
        log: page.slot::<info::Use>("log").ok_or(missing)?,
    };
    let slots = slots_digest();
    region_map(me.plot, me.end + OWN, 0, PAGES, BOTH).map_err(|_| "cannot map its own memory")?;
    let memory = memory::digest(me.end + OWN, PAGES);
    let keeper = keep::Client::new(me.keep);
    let begun = keeper.begin(slots, memory, events).map_err(|_| "the keeper does not answer")?;
    if !begun.is_first {
        return Err("this life is not as the first");
    }
    if begun.life == LAST {
        return Ok(());
    }
    let granted = region_grant(me.plot, me.keep, BOTH).map_err(|_| "cannot lend")?;
    keeper.borrow(granted.0).map_err(|_| "the keeper does not borrow")?;
    me.wait_for_gift();
    me.harm()
}

/// What all slots hold.
fn slots_digest() -> u64 {
    let mut all = digest::START;
    for slot in (0..MAX_SLOTS as u8).map(Slot) {
        let Ok(held) = slot_info(slot) else { continue };
        let pages = region_info(slot).map_or(0, |region| region.pages);
        for word in [slot.0.into(), held.kind as u64, held.rights.bits().into(), pages] {
            all = digest::add(all, word);
        }
    }
    all
}

struct Reborn {
    /// The first address after its heap.
    end: u64,
    plot: Slot,
    keep: Slot,
    log: Slot,
}

impl Reborn {
    /// Serves until a gift has come, and maps it. The giver is not answered: it waits when this life ends.
    fn wait_for_gift(&self) {
        if let Some(bell) = info::get().clients().find_map(info::signal_slot) {
            // Not before: a gift is a slot more, and what this life began with has been counted.
            let _ = signal(bell);
        }
        let received = reply_wait(Message::default(), 0, Instant::NEVER);
        if let Received::Message { message, .. } = received {
            let taken = region_map(Slot(message.words[0] as u8), self.end + GIFT, 0, PAGES, Rights::READ);
            log!("a gift has come, and is {}", if taken.is_ok() { "mapped" } else { "refused" });
        }
    }

    /// Leaves nothing as it was, and faults.
    fn harm(&self) -> ! {
        memory::spoil(self.end + OWN, PAGES);
        let all = |from: u64, stride: usize| {
            let places = (from..).step_by(stride);
            places.take_while(|place| region_map(self.plot, *place, 0, 1, Rights::READ).is_ok()).count()
        };
        let (tables, mappings) = (all(STRIDE, STRIDE as usize), all(self.end + FREE, PAGE_BYTES as usize));
        log!("after {tables} mappings there are no page tables left, after {mappings} more no mappings");
        // Lines that this life does not end.
        let half = b"half of a line";
        let _ = call(self.log, Message { label: half.len() as u32, words: pack(half) });
        debug_write(b"half of a debug line");
        // Whatever is left is given up.
        for slot in (1..MAX_SLOTS as u8).map(Slot) {
            let _ = slot_limit(slot, Rights::empty());
            let _ = slot_drop(slot);
        }
        memory::fault()
    }
}
