//! The guest's disk, or its part of one.

use core::time::Duration;

use cloison_rt::{log, sys::Instant, time};
use disk_api::{Disk, DiskError, GATE, GateLink, Operation, Request, find};
use linux_core::machine::DiskOperation;

/// How long a disk's domain that is being restarted is waited for before the guest begins.
const RESTART_TIME: Duration = Duration::from_secs(5);
/// How long between two looks whether it is back: no event says so.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// How long a guest's request waits while its disk's domain is down; then it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk. Sectors are copied: the guest's memory is nothing that a disk's domain should see.
pub struct Storage {
    disk: Disk,
    events: u64,
    /// Since when the disk's domain is down.
    down_since: Option<Instant>,
}

impl Storage {
    /// The disk, if the manifest gives one that can be used.
    pub fn open() -> Option<Self> {
        let opened = find(GATE).and_then(|link| Ok((link.events(), wait_for(link)?)));
        match opened {
            Ok((events, disk)) => {
                let access = if disk.is_read_only() { "read-only" } else { "read and write" };
                log!("disk of {} KiB, {access}", disk.sectors() / 2);
                Some(Self { disk, events, down_since: None })
            }
            Err(DiskError::NotGiven) => None,
            Err(error) => {
                log!("no disk: {error}");
                None
            }
        }
    }

    /// Forgets what is under way, for a guest that begins again.
    pub fn reset(&mut self) {
        self.disk.reset();
    }

    /// The events that say that something has ended.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// When to look again while the disk's domain is down.
    pub fn deadline(&self) -> Option<Instant> {
        self.disk.is_lost().then(|| time::after(TRY_AGAIN))
    }

    pub fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    pub fn is_read_only(&self) -> bool {
        self.disk.is_read_only()
    }

    pub fn take_place(&mut self) -> Option<usize> {
        self.disk.take_place()
    }

    pub fn fill(&mut self, place: usize, at: usize, from: &[u8]) {
        // A place holds what a request of the guest can have.
        let _ = self.disk.fill(place, at, from);
    }

    pub fn read(&mut self, place: usize, at: usize, into: &mut [u8]) {
        let _ = self.disk.read(place, at, into);
    }

    pub fn begin(&mut self, place: usize, operation: DiskOperation, first: u64, sectors: u8) {
        let operation = match operation {
            DiskOperation::Read => Operation::Read,
            DiskOperation::Write => Operation::Write,
            DiskOperation::Flush => Operation::Flush,
        };
        self.disk.submit(place, Request { operation, first, sectors });
    }

    pub fn next_ended(&mut self) -> Option<(usize, bool)> {
        let ended = self.disk.next_ended();
        if !self.disk.is_lost() {
            self.down_since = None;
        } else if time::since(*self.down_since.get_or_insert_with(Instant::now)) > PATIENCE {
            self.disk.give_up();
            return ended.or_else(|| self.disk.next_ended());
        }
        ended
    }

    pub fn release(&mut self, place: usize) {
        self.disk.release(place);
    }
}

fn wait_for(link: GateLink) -> Result<Disk, DiskError> {
    let deadline = time::after(RESTART_TIME);
    loop {
        match Disk::open(link) {
            Err(error) if error.is_restart() && Instant::now() < deadline => time::sleep(TRY_AGAIN),
            opened => return opened,
        }
    }
}
