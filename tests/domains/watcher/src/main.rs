//! Watcher: judges what domains under test do.
//!
//! Its clients announce each act and how it must end. The watcher holds the right to handle their faults: it
//! compares a fault with the announcement, and starts the domain again with the next act. After every act it
//! checks that the bystanders are alive. It ends with an error if one act ended differently, or if nothing
//! happens for too long.

#![no_std]
#![no_main]

extern crate alloc;

mod bystander;
mod subject;

use alloc::vec::Vec;
use core::time::Duration;

use cloison_rt::{
    log,
    sys::{Badge, Message, Received, info, reply_wait},
    time::after,
};
use watcher_api::{FaultSet, watch};

use bystander::Bystander;
use subject::Subject;

cloison_rt::entry!(main);

/// How long nothing may happen: longer than any host keeps a machine from running.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> Result<(), Failed> {
    let mut watcher = Watcher::new();
    let mut answer = Message::default();
    while !watcher.is_done() {
        let received = reply_wait(answer, watcher.fault_events(), after(PATIENCE));
        answer = Message::default();
        match received {
            Received::Message { badge, message } => answer = watch::answer(&mut watcher, badge, message),
            Received::Events(events) => watcher.handle_faults(events)?,
            Received::TimedOut => return Err(Failed::Silence),
        }
    }
    watcher.judge()
}

/// Why the test failed.
enum Failed {
    Acts(usize),
    Silence,
    /// A domain faulted before it said where it starts.
    NoPlace,
    Restart(cloison_abi::CallError),
}

impl core::fmt::Display for Failed {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Acts(count) => write!(out, "{count} acts did not end as expected"),
            Self::Silence => write!(out, "nothing happened for {} s", PATIENCE.as_secs()),
            Self::NoPlace => out.write_str("a domain faulted before it said where it starts"),
            Self::Restart(error) => write!(out, "a domain cannot be started again: {error}"),
        }
    }
}

/// Whom it watches.
struct Watcher {
    subjects: Vec<Subject>,
    bystanders: Vec<Bystander>,
    failures: usize,
}

impl Watcher {
    fn new() -> Self {
        let page = info::get();
        let of = |gate: &'static str| page.clients().filter(move |entry| entry.name.as_str() == gate);
        Self {
            subjects: of("watch").filter_map(Subject::new).collect(),
            bystanders: of("pulse").filter_map(Bystander::new).collect(),
            failures: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.subjects.iter().all(Subject::is_done)
    }

    fn fault_events(&self) -> u64 {
        self.subjects.iter().fold(0, |events, subject| events | subject.fault_event())
    }

    /// A domain faulted: as announced or not, it goes on with its next act.
    fn handle_faults(&mut self, events: u64) -> Result<(), Failed> {
        for subject in self.subjects.iter_mut().filter(|subject| subject.fault_event() & events != 0) {
            self.failures += usize::from(!subject.judge_fault());
            self.failures += check(&mut self.bystanders);
            subject.restart()?;
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), Failed> {
        let acts: u32 = self.subjects.iter().map(Subject::acts).sum();
        if self.failures > 0 {
            return Err(Failed::Acts(self.failures));
        }
        log!("all {acts} acts ended as expected");
        Ok(())
    }

    fn subject(&mut self, client: Badge) -> Result<&mut Subject, watch::Refusal> {
        let known = self.subjects.iter_mut().find(|subject| subject.badge() == client);
        known.ok_or(watch::Refusal::Unknown)
    }
}

impl watch::Server for Watcher {
    fn place(&mut self, client: Badge, entry: u64, stack: u64) -> Result<watch::Placed, watch::Refusal> {
        self.subject(client)?.place(entry, stack);
        Ok(watch::Placed {})
    }

    fn announce(
        &mut self,
        client: Badge,
        act: u16,
        faults: FaultSet,
        address: u64,
        status: i32,
    ) -> Result<watch::Announced, watch::Refusal> {
        self.subject(client)?.announce(act, faults, address, status);
        Ok(watch::Announced {})
    }

    fn end(&mut self, client: Badge, status: i32) -> Result<watch::Ended, watch::Refusal> {
        let passed = self.subject(client)?.judge_end(status);
        self.failures += usize::from(!passed) + check(&mut self.bystanders);
        Ok(watch::Ended {})
    }

    fn finish(&mut self, client: Badge, acts: u16) -> Result<watch::Finished, watch::Refusal> {
        let passed = self.subject(client)?.finish(acts);
        self.failures += usize::from(!passed);
        Ok(watch::Finished {})
    }
}

/// How many of the bystanders do not live.
fn check(bystanders: &mut [Bystander]) -> usize {
    bystanders.iter_mut().map(|bystander| usize::from(!bystander.lives())).sum()
}
