//! A domain that has nothing to do with the test and must not notice it.

use core::{sync::atomic::Ordering, time::Duration};

use cloison_abi::{Name, info::InfoEntry};
use cloison_rt::{
    log,
    sys::{Instant, memory::SharedMemory},
    time::{after, sleep},
};

/// Within which time a living domain counts on.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_micros(500);

pub(crate) struct Bystander {
    name: Name,
    page: SharedMemory,
    dead: bool,
}

impl Bystander {
    pub(crate) fn new(entry: &'static InfoEntry) -> Option<Self> {
        Some(Self { name: entry.peer, page: SharedMemory::of(entry)?, dead: false })
    }

    /// Waits until it has counted on. Says so, once, if it does not.
    pub(crate) fn lives(&mut self) -> bool {
        let before = self.count();
        let deadline = after(PATIENCE);
        while !self.dead && self.count() == before {
            self.dead = Instant::now() > deadline;
            if self.dead {
                log!("fail: {} has stopped", self.name);
                return false;
            }
            sleep(PAUSE);
        }
        true
    }

    fn count(&self) -> u32 {
        self.page.atomic_u32(0).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
