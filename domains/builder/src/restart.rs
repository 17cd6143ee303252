//! Restarting domains that have faulted, where the plan wants it.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use cloison_abi::plan::FaultPolicy;
use cloison_rt::{log, time};
use cloison_sys::{
    Instant,
    build::{domain_start, domain_stop, fault_read},
    slot_drop, wait,
};

use crate::{
    build::{BuildError, Built},
    image::Image,
};

/// A domain that faults more often than this in [`WINDOW`] is left stopped: a restart does not help it.
const RESTARTS: usize = 8;
/// See [`RESTARTS`].
const WINDOW: Duration = Duration::from_secs(10);

/// Restarts domains for as long as the system runs. Returns at once if the plan has none to be restarted.
pub fn serve(image: &Image, built: &Built) {
    let domains = image.plan().domains;
    let mut bits = 0_u64;
    for (index, domain) in domains.iter().enumerate() {
        if domain.on_fault == FaultPolicy::Restart as u32 {
            bits |= 1 << index;
        } else if let Some(slot) = built.domain_slot(index) {
            // Only needed to start it.
            let _ = slot_drop(slot);
        }
    }
    let mut history = vec![Vec::new(); domains.len()];
    while bits != 0 {
        let faulted = wait(bits, Instant::NEVER);
        for (index, times) in history.iter_mut().enumerate().filter(|(index, _)| faulted & 1 << index != 0) {
            if let Err(error) = restart(image, built, index, times) {
                log!("error: {} cannot be restarted: {error}", domains[index].name);
                if let Some(slot) = built.domain_slot(index) {
                    // So that nobody waits for it; if even this is refused, there is nothing left to do.
                    let _ = domain_stop(slot);
                }
                bits &= !(1 << index);
            }
        }
    }
}

fn restart(image: &Image, built: &Built, index: usize, times: &mut Vec<Instant>) -> Result<(), BuildError> {
    let (Some(entry), Some(slot)) = (image.plan().domains.get(index), built.domain_slot(index)) else {
        return Ok(());
    };
    times.retain(|earlier| time::since(*earlier) < WINDOW);
    let call = |error| BuildError::Call("restart", error);
    if times.len() == RESTARTS {
        // Those who wait for it are told.
        domain_stop(slot).map_err(call)?;
        log!(
            "{} faulted {} times within {} s and is left stopped",
            entry.name,
            RESTARTS + 1,
            WINDOW.as_secs()
        );
        return Ok(());
    }
    times.push(Instant::now());
    let fault = fault_read(slot).map_err(call)?;
    image.check_program(entry)?;
    built.clear(index as u32)?;
    built.load(image, index as u32)?;
    domain_start(slot, entry.entry, entry.stack, 0).map_err(call)?;
    log!("{} restarted after: {fault}", entry.name);
    Ok(())
}
