//! What the builder does when all is built: it starts domains again that have faulted, and those that the manager asks for.

use alloc::vec::Vec;
use core::time::Duration;

use builder::{BuildError, Managed, Plan, Site};
use builder_api::{State, manage};
use cloison_abi::Name;
use cloison_rt::{log, time};
use cloison_sys::{
    Badge, Instant, Message, Received, Slot,
    build::{domain_attend, domain_stop, fault_read},
    reply_wait, retire,
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

/// A domain of whose end the builder is told.
struct Supervised {
    domain: u32,
    name: Name,
    slot: Slot,
    /// Whether the manager can have it started.
    is_on_request: bool,
    /// Whether it is started again after a fault.
    is_restarted: bool,
    /// The event that says that it has faulted, or ended.
    fault_event: u64,
    /// When it faulted lately.
    faults: Vec<Instant>,
    /// When it is to be started again, if it waits for that.
    due: Option<Instant>,
    /// How long it waits the next time.
    pause: Duration,
}

/// Goes on for as long as the system runs. Returns at once if the plan has no domain that begins later, or again.
pub fn serve(plan: &Plan<'_>, site: &mut Building<'_>) {
    let mut supervised = watch(plan, site);
    if !supervised.is_empty() {
        // What it does from here on is for those that are restarted: at their priority, on their account.
        if let Err(error) = retire() {
            log!("error: the builder keeps its priority: {error}");
        }
    }
    let mut reply = Message::default();
    while !supervised.is_empty() {
        match reply_wait(core::mem::take(&mut reply), events(&supervised), next(&supervised)) {
            Received::Message { badge, message } => reply = answer(site, badge, message),
            Received::Events(ended) => attend(&mut supervised, site, ended),
            Received::TimedOut => attend(&mut supervised, site, 0),
        }
    }
}

fn answer(site: &mut Building<'_>, client: Badge, message: Message) -> Message {
    let mut managed = Managed::new(site);
    let reply = manage::answer(&mut managed, client, message);
    if let Some(error) = managed.trouble {
        log!("error: a request of the manager failed: {error}");
    }
    reply
}

fn attend(supervised: &mut Vec<Supervised>, site: &mut Building<'_>, ended: u64) {
    supervised.retain_mut(|one| match one.attend(site, ended) {
        Ok(()) => true,
        Err(error) => {
            log!("error: {} cannot be restarted: {error}", one.name);
            // So that nobody waits for it; if even this is refused, there is nothing left to do.
            let _ = domain_stop(one.slot);
            one.is_on_request
        }
    });
}

/// The domains whose faults the builder is told of.
fn watch(plan: &Plan<'_>, site: &Building<'_>) -> Vec<Supervised> {
    let domains = (0..).zip(plan.domains);
    let supervised = domains.filter_map(|(domain, entry)| {
        let (slot, bit) = site.handled(domain)?;
        let (name, fault_event, is_restarted) = (entry.name, 1 << bit, plan.is_restarted(domain));
        let (faults, due, pause, is_on_request) = (Vec::new(), None, FIRST_PAUSE, plan.is_on_request(domain));
        Some(Supervised { domain, name, slot, is_on_request, is_restarted, fault_event, faults, due, pause })
    });
    supervised.collect()
}

/// The events that say that one of them has faulted.
fn events(supervised: &[Supervised]) -> u64 {
    supervised.iter().fold(0, |events, one| events | one.fault_event)
}

/// When the first of those that wait is to be started.
fn next(supervised: &[Supervised]) -> Instant {
    supervised.iter().filter_map(|one| one.due).min().unwrap_or(Instant::NEVER)
}

impl Supervised {
    fn attend(&mut self, site: &mut Building<'_>, ended: u64) -> Result<(), BuildError> {
        // It may have been killed meanwhile, and then it has not ended by itself.
        let is_over = ended & self.fault_event != 0 && site.state(self.domain) == Some(State::Running);
        if is_over {
            let state = site.note_end(self.domain)?;
            if state != State::Faulted || !self.is_restarted {
                return Ok(());
            }
            self.faults.retain(|earlier| time::since(*earlier) < WINDOW);
            if self.faults.len() == RESTARTS {
                return self.pause(site);
            }
            self.faults.push(Instant::now());
            let fault = fault_read(self.slot).map_err(refused)?;
            site.restart(self.domain)?;
            log!("{} restarted after: {fault}", self.name);
        } else if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = None;
            if site.state(self.domain) != Some(State::Resting) {
                return Ok(());
            }
            domain_attend(self.slot).map_err(refused)?;
            site.restart(self.domain)?;
            log!("{} started again", self.name);
        }
        Ok(())
    }

    /// Leaves it stopped for a while. Those who wait for it are told, and a run that ends with it ends.
    fn pause(&mut self, site: &mut Building<'_>) -> Result<(), BuildError> {
        let (name, times, seconds) = (self.name, RESTARTS + 1, self.pause.as_secs());
        log!("{name} faulted {times} times within {} s; it is stopped for {seconds} s", WINDOW.as_secs());
        // This can be the end of the run; so it has to be said before.
        domain_stop(self.slot).map_err(refused)?;
        self.faults.clear();
        site.set_state(self.domain, State::Resting);
        self.due = Some(time::after(self.pause));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

fn refused(error: cloison_abi::CallError) -> BuildError {
    BuildError::Refused("restart", error)
}
