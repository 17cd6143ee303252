//! What is typed at the console while this domain has the focus.

use cloison_abi::info::InfoKind;
use cloison_ipc::ring::{Consumer, Doorbell, SharedRing};
use cloison_rt::{log, sys::info};

/// Most bytes that are handed on at a time.
const BATCH: usize = 64;

/// The ring from the console, if there is one.
pub struct Keyboard {
    ring: Option<Consumer<SharedRing, Doorbell>>,
    event: u64,
    /// What the guest had no room for yet.
    left: [u8; BATCH],
    count: usize,
}

impl Keyboard {
    /// Without a terminal nothing is ever typed.
    pub fn open() -> Self {
        let entry = info::get().find(InfoKind::Use, "terminal");
        let ring = entry.and_then(|entry| Some(Consumer::new(SharedRing::of(entry)?, Doorbell::of(entry))));
        Self { ring, event: entry.map_or(0, info::event_mask), left: [0; BATCH], count: 0 }
    }

    /// The event that says that something was typed.
    pub fn events(&self) -> u64 {
        self.event
    }

    /// Whether the guest has not taken all that was typed.
    pub fn has_bytes(&self) -> bool {
        self.count > 0
    }

    /// Hands on what was typed; `take` says how many of the bytes it has taken. The rest waits.
    pub fn deliver(&mut self, mut take: impl FnMut(&[u8]) -> usize) {
        loop {
            if self.count == 0 {
                self.count = self.read();
            }
            if self.count == 0 {
                return;
            }
            let taken = take(&self.left[..self.count]).min(self.count);
            self.left.copy_within(taken..self.count, 0);
            self.count -= taken;
            if self.count > 0 {
                return;
            }
        }
    }

    /// Reads what there is. If there is nothing, an event comes when there is.
    fn read(&mut self) -> usize {
        let Some(ring) = &mut self.ring else { return 0 };
        let mut read = || loop {
            match ring.try_read(&mut self.left)? {
                0 if ring.prepare_wait(0)? => return Ok(0),
                0 => {}
                count => return Ok(count),
            }
        };
        read().unwrap_or_else(|error: cloison_ipc::ring::RingError| {
            log!("nothing more can be typed: {error}");
            self.ring = None;
            0
        })
    }
}
