//! Quitter: when the domain whose faults it handles has faulted, it stops it, or leaves without a decision.

#![no_std]
#![no_main]

use cloison_rt::sys::{Instant, build::domain_stop, info, settings, wait};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let patient = info::get().all::<info::Subject>().first().ok_or("it handles nobody's faults")?;
    wait(info::event_mask(patient), Instant::NEVER);
    if settings::arguments() == "stop" {
        let slot = info::slot(patient).ok_or("the plan gives no slot")?;
        domain_stop(slot).map_err(|_| "the domain cannot be stopped")?;
        // As long as it stays, the domain could be started again.
        wait(0, Instant::NEVER);
    }
    Ok(())
}
