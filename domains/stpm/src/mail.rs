//! The clients' memory and events.

use alloc::vec::Vec;

use cloison_sys::{Slot, info, memory::SharedMemory, signal};
use cloison_tpm_gate::{COMMAND_OFFSET, RESPONSE_OFFSET};

use crate::service::Mail;

/// What the plan gave the service for each client.
pub struct SharedMail {
    clients: Vec<Place>,
}

/// One client's memory and event, where the plan gave them.
struct Place {
    memory: Option<SharedMemory>,
    event: Option<Slot>,
}

impl SharedMail {
    /// For these clients, in the order of their badges.
    pub fn new(clients: impl Iterator<Item = &'static info::Client>) -> Self {
        let place = |entry| Place { memory: SharedMemory::of(entry), event: info::signal_slot(entry) };
        Self { clients: clients.map(place).collect() }
    }

    fn memory(&self, client: usize) -> Option<SharedMemory> {
        self.clients.get(client)?.memory
    }
}

impl Mail for SharedMail {
    fn fetch(&mut self, client: usize, command: &mut [u8]) -> bool {
        self.memory(client).is_some_and(|memory| memory.read(COMMAND_OFFSET, command))
    }

    fn deliver(&mut self, client: usize, response: &[u8]) -> bool {
        self.memory(client).is_some_and(|memory| memory.write(RESPONSE_OFFSET, response))
    }

    fn wake(&mut self, client: usize) {
        if let Some(event) = self.clients.get(client).and_then(|place| place.event) {
            // A client that has ended needs no waking.
            let _ = signal(event);
        }
    }
}
