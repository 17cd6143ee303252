//! Stands in for the builder, and does with its rights what no builder should: what the kernel keeps even from the
//! one domain that may build.
//!
//! A scenario with `builder: architect` has this program start in the builder's place, with all free memory and all
//! rights. Each act of the table is a property that has to hold; after it, everything that it made is destroyed.

#![no_std]
#![no_main]

extern crate alloc;

mod access;
mod acts;
mod child;
mod ends;
mod guests;
mod monitor;
mod outcome;
mod site;
mod view;

use cloison_abi::call::{BUILDER_SLOT_SHUTDOWN, SystemEnd};
use cloison_rt::log;
use cloison_sys::{Slot, shutdown};

use acts::ACTS;
use site::Site;

cloison_rt::entry!(main);

fn main() {
    let mut site = Site::new();
    let mut held = 0;
    for (property, act) in ACTS {
        let outcome = act(&mut site);
        match outcome.and_then(|()| site.clear()) {
            Ok(()) => held += 1,
            Err(wrong) => log!("failed: {property}: {wrong}"),
        }
    }
    log!("{held} of {} properties hold", ACTS.len());
    let end = if held == ACTS.len() { SystemEnd::Success } else { SystemEnd::Failure };
    // If even this is refused, the scenario ends by its time limit.
    let _ = shutdown(Slot(BUILDER_SLOT_SHUTDOWN), end);
}
