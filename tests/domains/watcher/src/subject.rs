//! A domain under test: what it announced, and how it ended.

use cloison_abi::{CallError, Fault, Name};
use cloison_rt::{
    log,
    sys::{Badge, Slot, build, info, memory::SharedMemory},
};
use watcher_api::{ANY_ADDRESS, ActName, EMULATED, FaultSet, SURVIVED};

use crate::Failed;

pub(crate) struct Subject {
    name: Name,
    badge: Badge,
    page: SharedMemory,
    /// Its domain and the event that says that it has faulted, if its faults are ours to handle.
    domain: Option<(Slot, u64)>,
    place: Option<(u64, u64)>,
    announced: Option<Announcement>,
    /// How many acts have ended, whichever way.
    acts: u32,
    /// The act to go on with.
    next: u64,
    done: bool,
}

/// How an act must end.
struct Announcement {
    name: ActName,
    faults: FaultSet,
    address: u64,
    status: i32,
}

impl Subject {
    pub(crate) fn new(client: &'static info::Client) -> Option<Self> {
        let domain = info::get().find::<info::Subject>(client.channel.peer.as_str());
        Some(Self {
            name: client.channel.peer,
            badge: client.channel.badge,
            page: SharedMemory::of(client)?,
            domain: domain.and_then(|domain| Some((info::slot(domain)?, info::event_mask(domain)))),
            place: None,
            announced: None,
            acts: 0,
            next: 0,
            done: false,
        })
    }

    pub(crate) fn badge(&self) -> Badge {
        self.badge
    }

    pub(crate) fn fault_event(&self) -> u64 {
        self.domain.map_or(0, |(_, event)| event)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    pub(crate) fn acts(&self) -> u32 {
        self.acts
    }

    pub(crate) fn place(&mut self, entry: u64, stack: u64) {
        self.place = Some((entry, stack));
    }

    pub(crate) fn announce(&mut self, act: u16, faults: FaultSet, address: u64, status: i32) {
        self.next = u64::from(act) + 1;
        self.announced = Some(Announcement { name: ActName::read(&self.page), faults, address, status });
    }

    /// Whether its fault is the one that it announced.
    pub(crate) fn judge_fault(&mut self) -> bool {
        let Some((domain, _)) = self.domain else { return false };
        let fault = build::fault_read(domain).unwrap_or(Fault::NONE);
        match self.announced.take() {
            Some(act) => {
                self.acts += 1;
                act.judge_fault(&fault)
            }
            None => {
                log!("fail: {}, outside of an act: {fault}", self.name);
                false
            }
        }
    }

    /// Whether its call ended as it announced.
    pub(crate) fn judge_end(&mut self, status: i32) -> bool {
        let Some(act) = self.announced.take() else {
            log!("fail: {} ended an act that it never announced", self.name);
            return false;
        };
        self.acts += 1;
        act.judge_end(status)
    }

    /// Whether every act has been seen.
    pub(crate) fn finish(&mut self, acts: u16) -> bool {
        self.done = true;
        let complete = self.acts == u32::from(acts);
        if !complete {
            log!("fail: {} has {acts} acts, seen were {}", self.name, self.acts);
        }
        complete
    }

    /// Starts the domain again, with its next act.
    pub(crate) fn restart(&self) -> Result<(), Failed> {
        let (Some((domain, _)), Some((entry, stack))) = (self.domain, self.place) else {
            return Err(Failed::NoPlace);
        };
        build::domain_start(domain, entry, stack, self.next).map_err(Failed::Restart)
    }
}

impl Announcement {
    fn judge_fault(&self, fault: &Fault) -> bool {
        let there = self.address == ANY_ADDRESS || self.address == fault.address;
        let passed = self.faults.contains(fault.kind) && there;
        log!("{}: {}: {fault}", verdict(passed), self.name.as_str());
        if !passed {
            self.explain();
        }
        passed
    }

    fn judge_end(&self, status: i32) -> bool {
        let may_end = self.faults == FaultSet::NONE || self.status == EMULATED;
        let passed = may_end && status == self.status;
        let (verdict, name) = (verdict(passed), self.name.as_str());
        match CallError::from_number(status) {
            Some(error) => log!("{verdict}: {name}: {error}"),
            None if status == SURVIVED => log!("{verdict}: {name}: nothing happened"),
            None if status == EMULATED => {
                log!("{verdict}: {name}: at privilege level 3 the emulator lets it pass")
            }
            None => log!("{verdict}: {name}: status {status}"),
        }
        if !passed {
            self.explain();
        }
        passed
    }

    /// Says what should have happened.
    fn explain(&self) {
        match CallError::from_number(self.status) {
            Some(error) => log!("  expected was: {error}"),
            None if self.faults == FaultSet::NONE => log!("  expected was status {}", self.status),
            None => {
                self.faults.kinds().for_each(|kind| log!("  expected was {kind:?} at {:#x}", self.address))
            }
        }
    }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "pass" } else { "fail" }
}
