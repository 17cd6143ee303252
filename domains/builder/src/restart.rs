//! Restarting domains that have faulted, where the plan wants it.

use alloc::vec::Vec;
use core::time::Duration;

use cloison_abi::plan::{DomainEntry, FaultPolicy};
use cloison_rt::{log, time};
use cloison_sys::{
    Instant, Slot,
    build::{domain_attend, domain_reset, domain_start, domain_stop, fault_read},
    retire, slot_drop, wait,
};

use crate::{
    build::{BuildError, Built},
    image::Image,
};

/// A domain that faults more often than this in [`WINDOW`] has to wait before it is started again.
const RESTARTS: usize = 8;
/// See [`RESTARTS`].
const WINDOW: Duration = Duration::from_secs(10);
/// How long it waits the first time. Each further time it is twice as long, up to the longest: a peer that can
/// make a domain fault must not be able to end it for good, nor to keep the system busy with it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A domain that is restarted.
struct Patient<'a> {
    index: usize,
    entry: &'a DomainEntry,
    slot: Slot,
    /// When it faulted lately.
    faults: Vec<Instant>,
    /// When it is to be started again, if it waits for that.
    due: Option<Instant>,
    /// How long it waits the next time.
    pause: Duration,
}

/// Restarts domains for as long as the system runs. Returns at once if the plan has none to be restarted.
pub fn serve(image: &Image, built: &Built) {
    let mut patients = admit(image, built);
    if !patients.is_empty() {
        // What it does from here on is for those that are restarted: at their priority, on their account.
        if let Err(error) = retire() {
            log!("error: the builder keeps its priority: {error}");
        }
    }
    while !patients.is_empty() {
        let faulted = wait(events(&patients), next(&patients));
        patients.retain_mut(|patient| match patient.look_after(image, built, faulted) {
            Ok(()) => true,
            Err(error) => {
                log!("error: {} cannot be restarted: {error}", patient.entry.name);
                // So that nobody waits for it; if even this is refused, there is nothing left to do.
                let _ = domain_stop(patient.slot);
                false
            }
        });
    }
}

/// The domains that the plan has restarted. The slots of the others were only needed to start them.
fn admit<'a>(image: &'a Image, built: &Built) -> Vec<Patient<'a>> {
    let mut patients = Vec::new();
    for (index, entry) in image.plan().domains.iter().enumerate() {
        let Some(slot) = built.domain_slot(index) else { continue };
        if entry.on_fault == FaultPolicy::Restart as u32 {
            patients.push(Patient { index, entry, slot, faults: Vec::new(), due: None, pause: FIRST_PAUSE });
        } else {
            let _ = slot_drop(slot);
        }
    }
    patients
}

/// The events that say that one of them has faulted.
fn events(patients: &[Patient<'_>]) -> u64 {
    patients.iter().fold(0, |events, patient| events | 1 << patient.index)
}

/// When the first of those that wait is to be started.
fn next(patients: &[Patient<'_>]) -> Instant {
    patients.iter().filter_map(|patient| patient.due).min().unwrap_or(Instant::NEVER)
}

impl Patient<'_> {
    fn look_after(&mut self, image: &Image, built: &Built, faulted: u64) -> Result<(), BuildError> {
        if faulted & 1 << self.index != 0 {
            self.faults.retain(|earlier| time::since(*earlier) < WINDOW);
            if self.faults.len() == RESTARTS {
                return self.pause();
            }
            self.faults.push(Instant::now());
            let fault = fault_read(self.slot).map_err(refused)?;
            self.start(image, built)?;
            log!("{} restarted after: {fault}", self.entry.name);
        } else if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = None;
            domain_attend(self.slot).map_err(refused)?;
            self.start(image, built)?;
            log!("{} started again", self.entry.name);
        }
        Ok(())
    }

    /// Leaves it stopped for a while. Those who wait for it are told, and a run that ends with it ends.
    fn pause(&mut self) -> Result<(), BuildError> {
        let (name, times, seconds) = (self.entry.name, RESTARTS + 1, self.pause.as_secs());
        log!("{name} faulted {times} times within {} s; it is stopped for {seconds} s", WINDOW.as_secs());
        // This can be the end of the run; so it has to be said before.
        domain_stop(self.slot).map_err(refused)?;
        self.faults.clear();
        self.due = Some(time::after(self.pause));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Loads it again and starts it. Before its memory is filled, the borrowers of its memory have to lose it.
    fn start(&self, image: &Image, built: &Built) -> Result<(), BuildError> {
        domain_reset(self.slot).map_err(refused)?;
        image.check_program(self.entry)?;
        built.clear(self.index as u32)?;
        built.load(image, self.index as u32)?;
        domain_start(self.slot, self.entry.entry, self.entry.stack, 0).map_err(refused)
    }
}

fn refused(error: cloison_abi::CallError) -> BuildError {
    BuildError::Call("restart", error)
}
