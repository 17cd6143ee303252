//! A domain that has nothing to do with the test and must not notice it.

use core::{sync::atomic::Ordering, time::Duration};

use cloison_abi::Name;
use cloison_rt::{
    log,
    sys::{info, memory::SharedMemory},
    time::sleep,
};

/// Within how many looks a living domain counts on. They are counted, not timed: where the whole machine stands still
/// for a while, no domain has had the CPU.
const PATIENCE: usize = 4000;
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_micros(500);

pub(crate) struct Bystander {
    name: Name,
    page: SharedMemory,
    dead: bool,
}

impl Bystander {
    pub(crate) fn new(client: &'static info::Client) -> Option<Self> {
        Some(Self { name: client.channel.peer, page: SharedMemory::of(client)?, dead: false })
    }

    /// Waits until it has counted on. Says so, once, if it does not.
    pub(crate) fn lives(&mut self) -> bool {
        let before = self.count();
        for _ in 0..PATIENCE {
            if self.dead || self.count() != before {
                return true;
            }
            sleep(PAUSE);
        }
        self.dead = true;
        log!("fail: {} has stopped", self.name);
        false
    }

    fn count(&self) -> u32 {
        self.page.atomic_u32(0).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
