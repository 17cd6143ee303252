//! What is typed at the console while this domain has the focus: for its guest, or an order to the domain itself.

use cloison_ipc::ring::{Consumer, Doorbell, SharedRing};
use cloison_rt::{log, sys::info};

/// Most bytes that are handed on at a time.
const BATCH: usize = 64;
/// Begins an order to this domain. The console lets it through when it is typed twice.
const ATTENTION: u8 = 0x1d; // Ctrl-]

/// What the user wants of this domain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The guest stands still, or goes on.
    Pause,
    /// Say what it did so far.
    Count,
    /// The guest is saved, and goes on.
    Save,
    /// The guest goes on from where it was saved.
    GoBack,
    /// An order that there is not: say which there are.
    Explain,
}

/// Which orders there are.
pub const ORDERS: &str = "twice Ctrl-] and p: the guest stands still, or goes on; c: what it did so far; \
    s: it is saved; r: it returns to where it was saved; \
    four times Ctrl-]: it gets one";

impl Order {
    fn of(byte: u8) -> Self {
        match byte {
            b'p' => Self::Pause,
            b'c' => Self::Count,
            b's' => Self::Save,
            b'r' => Self::GoBack,
            _ => Self::Explain,
        }
    }
}

/// The ring from the console, if there is one.
pub struct Keyboard {
    ring: Option<Consumer<SharedRing, Doorbell>>,
    event: u64,
    /// What the guest had no room for yet.
    left: [u8; BATCH],
    count: usize,
    /// An order has begun.
    is_attentive: bool,
}

impl Keyboard {
    /// Without a terminal nothing is ever typed.
    pub fn open() -> Self {
        let entry = info::get().find::<info::Use>("terminal");
        let ring = entry.and_then(|entry| Some(Consumer::new(SharedRing::of(entry)?, Doorbell::of(entry))));
        Self {
            ring,
            event: entry.map_or(0, info::event_mask),
            left: [0; BATCH],
            count: 0,
            is_attentive: false,
        }
    }

    /// The event that says that something was typed.
    pub fn events(&self) -> u64 {
        self.event
    }

    /// Whether the guest has not taken all that was typed.
    pub fn has_bytes(&self) -> bool {
        self.count > 0
    }

    /// Whether anything can still be typed.
    pub fn is_there(&self) -> bool {
        self.ring.is_some()
    }

    /// Hands on what was typed, up to the next order, which is returned. `take` says how many of the bytes it has taken;
    /// the rest waits.
    pub fn deliver(&mut self, mut take: impl FnMut(&[u8]) -> usize) -> Option<Order> {
        loop {
            if self.count == 0 {
                self.count = self.read();
            }
            let typed = &self.left[..self.count];
            let first = *typed.first()?;
            if self.is_attentive && first != ATTENTION {
                self.is_attentive = false;
                self.drop_first(1);
                return Some(Order::of(first));
            }
            let plain = match typed.iter().position(|byte| *byte == ATTENTION).unwrap_or(self.count) {
                0 if self.is_attentive => 1,
                plain => plain,
            };
            if plain == 0 {
                self.is_attentive = true;
                self.drop_first(1);
                continue;
            }
            let taken = take(&typed[..plain]).min(plain);
            self.is_attentive &= taken == 0;
            self.drop_first(taken);
            if taken < plain {
                return None;
            }
        }
    }

    fn drop_first(&mut self, bytes: usize) {
        self.left.copy_within(bytes..self.count, 0);
        self.count -= bytes;
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
