//! The virtio console (section 5.3), as a way for bytes out of the machine: into a file of the host, say.
//!
//! Only its output is used. It begins to move what a driver shows it at once, so a domain can write as fast as
//! the host takes it, without being interrupted for it.

#[cfg(test)]
mod tests;

use cloison_sys::dma::DmaMemory;

use super::{
    Interrupt, Place, VirtioError,
    queue::{self, BUFFER_BYTES, Queue},
    transport::Transport,
};
use crate::registers::Registers;

/// PCI device numbers of consoles, without legacy (section 4.1.2) and with.
const DEVICES: [u16; 2] = [0x1043, 0x1003];
/// Memory that the console and its driver share, in bytes.
pub const DMA_BYTES: usize = queue::BYTES;
/// Number of the queue of the first port's output (section 5.3.2).
const TRANSMIT: u16 = 1;

/// The output of a console.
#[derive(Debug)]
pub struct Output<R> {
    transport: Transport<R>,
    memory: DmaMemory,
    queue: Queue,
    interrupt: Interrupt,
    /// The buffer that is being filled, and how many bytes are in it.
    filling: Option<(u16, usize)>,
}

impl<R: Registers> Output<R> {
    /// Brings a console up, whatever it was doing before.
    ///
    /// # Errors
    /// What keeps it from working: see [`VirtioError`].
    pub fn start(place: Place<R>) -> Result<Self, VirtioError> {
        let Place { config, registers, vectors, memory, interrupt } = place;
        if memory.len() < DMA_BYTES {
            return Err(VirtioError::MemoryTooSmall(DMA_BYTES));
        }
        let mut transport = Transport::open(config, registers, vectors, interrupt, &DEVICES)?;
        let features = transport.negotiate(0)?;
        let queue = transport.queue(TRANSMIT, &memory, 0, features)?;
        queue.ask_nothing(&memory);
        transport.go();
        Ok(Self { transport, memory, queue, interrupt, filling: None })
    }

    /// Writes bytes; the console sees them when a buffer is full, and with the next [`Self::flush`]. Returns
    /// how many there was room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let Some((buffer, filled)) = self.filling.or_else(|| self.empty_buffer()) else { break };
            let count = (bytes.len() - written).min(BUFFER_BYTES - filled);
            // It lies in the buffer, as `count` is no more than is left of it.
            let _ = self.memory.write(self.queue.buffer(buffer) + filled, &bytes[written..written + count]);
            written += count;
            self.filling = Some((buffer, filled + count));
            if filled + count == BUFFER_BYTES {
                self.give();
            }
        }
        written
    }

    /// A buffer with nothing in it yet.
    fn empty_buffer(&mut self) -> Option<(u16, usize)> {
        if self.queue.free_buffer().is_none() {
            while self.queue.take(&self.memory).is_some() {}
        }
        self.queue.free_buffer().map(|buffer| (buffer, 0))
    }

    /// Shows the console all that was written.
    pub fn flush(&mut self) {
        self.give();
        if self.queue.publish(&self.memory) {
            self.transport.notify(&self.queue);
        }
    }

    fn give(&mut self) {
        if let Some((buffer, filled)) = self.filling.take() {
            self.queue.give(&self.memory, buffer, filled, false);
        }
    }

    /// Asks for an interrupt when there is room again, for half of what the console has now. False if there is
    /// so much already.
    pub fn prepare_wait(&mut self) -> bool {
        let others = self.queue.given_count() / 2;
        self.queue.prepare_wait(&self.memory, others)
    }

    /// To be done at each interrupt: lets a line fall. A message needs nothing.
    pub fn acknowledge(&mut self) {
        if self.interrupt == Interrupt::Line {
            self.transport.acknowledge_line();
        }
    }
}
