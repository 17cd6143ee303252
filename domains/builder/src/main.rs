//! The builder (domB in the Xen report): the one domain that can build domains.
//!
//! The kernel starts it with all free memory and all rights. It checks the plan and the digest of every
//! program, builds what the plan says, and gives its rights up. If the plan wants a domain restarted after a
//! fault, the builder stays, with that domain and its memory in its slots; else it ends.

#![no_std]
#![no_main]

extern crate alloc;

mod build;
mod census;
mod image;
mod memory;
mod restart;

use cloison_abi::call::{
    BUILDER_SLOT_CENSUS, BUILDER_SLOT_FREE, BUILDER_SLOT_RIGHT, BUILDER_SLOT_SHUTDOWN, SystemEnd,
};
use cloison_abi::plan::SYSTEM_PRINT_CENSUS;
use cloison_rt::{log, start};
use cloison_sys::{Slot, shutdown, slot_drop};

use build::BuildError;
use image::Image;

/// The builder right.
const RIGHT: Slot = Slot(BUILDER_SLOT_RIGHT);
/// The right to read the census.
const CENSUS: Slot = Slot(BUILDER_SLOT_CENSUS);
/// The right to end the system.
const SHUTDOWN: Slot = Slot(BUILDER_SLOT_SHUTDOWN);

cloison_rt::entry!(main);

fn main() {
    if let Err(error) = run() {
        log!("error: {error}; nothing is started");
        // If even this is refused, the domains still do not run: the builder's end leaves them stopped.
        let _ = shutdown(SHUTDOWN, SystemEnd::Halt);
    }
}

fn run() -> Result<(), BuildError> {
    let image = Image::open(start::argument())?;
    image.check()?;
    let built = build::build(&image)?;
    drop_rights(&built)?;
    if image.plan().header.flags & SYSTEM_PRINT_CENSUS != 0 {
        census::print();
    }
    // From here on nothing new can be named.
    let _ = slot_drop(CENSUS);
    built.start(&image)?;
    restart::serve(&image, &built);
    Ok(())
}

/// Gives up every right that is not needed to restart a domain, and says so.
fn drop_rights(built: &build::Built) -> Result<(), BuildError> {
    let kept = built.kept_slots();
    for slot in 1..built.slots_used() {
        let needed = kept.contains(&slot) || slot == BUILDER_SLOT_CENSUS;
        if !needed {
            // A slot that is empty already is as good as dropped.
            let _ = slot_drop(Slot(slot));
        }
    }
    built.limit_kept_slots()?;
    log!("rights dropped: builder right, shutdown right, free memory");
    if built.restartable().next().is_some() {
        let names = built.restartable().map(|domain| domain.name.as_str());
        log!("rights kept, to restart after a fault: {}", census::list(names));
    }
    const { assert!(BUILDER_SLOT_FREE > BUILDER_SLOT_SHUTDOWN) };
    Ok(())
}
