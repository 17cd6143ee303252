//! A gate with memory beside it: messages say what is to be done, the memory holds what it is done with.

use cloison_abi::CallError;
use cloison_sys::{Message, Slot, info, memory::SharedMemory, peer::PEER_FAILED};

use crate::Transport;

/// The way to a server with which memory is shared. [`GateLink`] is the real one.
pub trait Link: Transport {
    /// Copies to the shared memory. False if it does not fit.
    fn write(&self, offset: usize, bytes: &[u8]) -> bool;

    /// Copies from the shared memory. False if there is not so much.
    fn read(&self, offset: usize, bytes: &mut [u8]) -> bool;
}

/// The way to a server that the plan made.
#[derive(Clone, Copy, Debug)]
pub struct GateLink {
    slot: Slot,
    memory: SharedMemory,
    events: u64,
}

impl GateLink {
    /// The gate that this domain's `domain.toml` calls `name`, if the manifest gave one and memory beside it.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let entry = info::get().find::<info::Use>(name)?;
        let events = info::event_mask(entry) | PEER_FAILED;
        Some(Self { slot: info::slot(entry)?, memory: SharedMemory::of(entry)?, events })
    }

    /// The events that say that the server has something to say, or has failed.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Length of the shared memory, in bytes.
    #[must_use]
    pub fn shared_bytes(&self) -> usize {
        self.memory.len()
    }
}

impl Transport for GateLink {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        self.slot.call(message)
    }
}

impl Link for GateLink {
    fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.memory.write(offset, bytes)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> bool {
        self.memory.read(offset, bytes)
    }
}
