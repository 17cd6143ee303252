//! The clients' memory and events.

use alloc::vec::Vec;

use cloison_sys::{Slot, info, memory::SharedMemory, signal};
use disk_api::PLACE_BYTES;

/// The memory shared with clients, and the way to wake them. Clients are numbered by their badges, from 0.
pub trait Mail {
    /// Copies out of a place of a client's memory. False if the plan gave the two none, or too little.
    fn fetch(&mut self, client: usize, place: usize, at: usize, bytes: &mut [u8]) -> bool;

    /// Copies into a place of a client's memory. False if the plan gave the two none, or too little.
    fn deliver(&mut self, client: usize, place: usize, at: usize, bytes: &[u8]) -> bool;

    /// Tells a client that a request has ended.
    fn wake(&mut self, client: usize);
}

/// What the plan gave the service for each client.
pub struct SharedMail {
    clients: Vec<Box>,
}

/// One client's memory and event, where the plan gave them.
struct Box {
    memory: Option<SharedMemory>,
    event: Option<Slot>,
}

impl SharedMail {
    /// For these clients, in the order of their badges.
    #[must_use]
    pub fn new(clients: &[&'static info::Client]) -> Self {
        let of = |client: &'static info::Client| Box {
            memory: SharedMemory::of(client),
            event: info::signal_slot(client),
        };
        Self { clients: clients.iter().copied().map(of).collect() }
    }

    fn memory(&self, client: usize) -> Option<SharedMemory> {
        self.clients.get(client)?.memory
    }
}

impl Mail for SharedMail {
    fn fetch(&mut self, client: usize, place: usize, at: usize, bytes: &mut [u8]) -> bool {
        self.memory(client).is_some_and(|memory| memory.read(place * PLACE_BYTES + at, bytes))
    }

    fn deliver(&mut self, client: usize, place: usize, at: usize, bytes: &[u8]) -> bool {
        self.memory(client).is_some_and(|memory| memory.write(place * PLACE_BYTES + at, bytes))
    }

    fn wake(&mut self, client: usize) {
        if let Some(event) = self.clients.get(client).and_then(|client| client.event) {
            // A client that has ended needs no waking.
            let _ = signal(event);
        }
    }
}
