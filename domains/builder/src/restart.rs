//! Restarting domains that have faulted, where the plan wants it.

use alloc::vec::Vec;
use core::time::Duration;

use builder::{BuildError, Plan, Site};
use cloison_abi::Name;
use cloison_rt::{log, time};
use cloison_sys::{
    Instant, Slot,
    build::{domain_attend, domain_stop, fault_read},
    retire, wait,
};

use crate::kernel::Kernel;

/// Where it builds, on the kernel that runs.
type Building<'a> = Site<'a, Kernel>;

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
struct Patient {
    domain: u32,
    name: Name,
    slot: Slot,
    /// The event that says that it has faulted.
    fault_event: u64,
    /// When it faulted lately.
    faults: Vec<Instant>,
    /// When it is to be started again, if it waits for that.
    due: Option<Instant>,
    /// How long it waits the next time.
    pause: Duration,
}

/// Restarts domains for as long as the system runs. Returns at once if the plan has none to be restarted.
pub fn serve(plan: &Plan<'_>, site: &mut Building<'_>) {
    let mut patients = admit(plan, site);
    if !patients.is_empty() {
        // What it does from here on is for those that are restarted: at their priority, on their account.
        if let Err(error) = retire() {
            log!("error: the builder keeps its priority: {error}");
        }
    }
    while !patients.is_empty() {
        let faulted = wait(events(&patients), next(&patients));
        patients.retain_mut(|patient| match patient.look_after(site, faulted) {
            Ok(()) => true,
            Err(error) => {
                log!("error: {} cannot be restarted: {error}", patient.name);
                // So that nobody waits for it; if even this is refused, there is nothing left to do.
                let _ = domain_stop(patient.slot);
                false
            }
        });
    }
}

/// The domains whose faults the builder is told of.
fn admit(plan: &Plan<'_>, site: &Building<'_>) -> Vec<Patient> {
    let domains = (0..).zip(plan.domains);
    let patients = domains.filter_map(|(domain, entry)| {
        let (slot, bit) = site.handled(domain)?;
        let (name, fault_event) = (entry.name, 1 << bit);
        Some(Patient { domain, name, slot, fault_event, faults: Vec::new(), due: None, pause: FIRST_PAUSE })
    });
    patients.collect()
}

/// The events that say that one of them has faulted.
fn events(patients: &[Patient]) -> u64 {
    patients.iter().fold(0, |events, patient| events | patient.fault_event)
}

/// When the first of those that wait is to be started.
fn next(patients: &[Patient]) -> Instant {
    patients.iter().filter_map(|patient| patient.due).min().unwrap_or(Instant::NEVER)
}

impl Patient {
    fn look_after(&mut self, site: &mut Building<'_>, faulted: u64) -> Result<(), BuildError> {
        if faulted & self.fault_event != 0 {
            self.faults.retain(|earlier| time::since(*earlier) < WINDOW);
            if self.faults.len() == RESTARTS {
                return self.pause();
            }
            self.faults.push(Instant::now());
            let fault = fault_read(self.slot).map_err(refused)?;
            site.restart(self.domain)?;
            log!("{} restarted after: {fault}", self.name);
        } else if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = None;
            domain_attend(self.slot).map_err(refused)?;
            site.restart(self.domain)?;
            log!("{} started again", self.name);
        }
        Ok(())
    }

    /// Leaves it stopped for a while. Those who wait for it are told, and a run that ends with it ends.
    fn pause(&mut self) -> Result<(), BuildError> {
        let (name, times, seconds) = (self.name, RESTARTS + 1, self.pause.as_secs());
        log!("{name} faulted {times} times within {} s; it is stopped for {seconds} s", WINDOW.as_secs());
        // This can be the end of the run; so it has to be said before.
        domain_stop(self.slot).map_err(refused)?;
        self.faults.clear();
        self.due = Some(time::after(self.pause));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

fn refused(error: cloison_abi::CallError) -> BuildError {
    BuildError::Refused("restart", error)
}
