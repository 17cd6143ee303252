//! A split virtqueue (section 2.7) whose buffers have fixed places.
//!
//! Descriptor `n` is always about buffer `n`, or a chain of them begins at a number that is its own. So there is no free
//! list, and nothing that a device could entangle: what it says it has used is a number, and this side knows which
//! numbers it has given out. Only this side's own copies of positions are believed.

use core::sync::atomic::{Ordering, fence};

use cloison_sys::dma::{DeviceAddress, DmaMemory};

/// Buffers of a queue. A set of them is a `u128`.
pub(super) const BUFFERS: u16 = 128;
/// Bytes of a buffer: a frame of an Ethernet without large frames, with its header.
pub(super) const BUFFER_BYTES: usize = 2048;
/// Bytes of a queue with its buffers.
pub(super) const BYTES: usize = FIRST_BUFFER + BUFFERS as usize * BUFFER_BYTES;

/// Where the parts lie, from the start of the queue. The rings are less than a page.
const AVAILABLE: usize = DESCRIPTOR_BYTES * BUFFERS as usize;
const USED: usize = (AVAILABLE + 6 + 2 * BUFFERS as usize).next_multiple_of(4);
/// Where they end, and what is behind them is the driver's.
pub(super) const USED_END: usize = USED + 6 + 8 * BUFFERS as usize;
/// Bytes of the rings, and of what a driver puts behind them.
pub(super) const RING_BYTES: usize = 4096;
const FIRST_BUFFER: usize = RING_BYTES;
const DESCRIPTOR_BYTES: usize = 16;
const _: () = assert!(USED_END <= FIRST_BUFFER && AVAILABLE.is_multiple_of(2) && BUFFERS.is_power_of_two());

/// Flags of a descriptor: it is followed by another one, the device writes the buffer.
const IS_FOLLOWED: u16 = 1;
const DEVICE_WRITES: u16 = 2;
/// Flag of both rings, without event index: do not tell me.
const NO_NOTIFICATION: u16 = 1;

/// A buffer that the device has used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Used {
    /// Which one.
    pub(super) buffer: u16,
    /// How many bytes of it the device says that it has written; at most all.
    pub(super) bytes: usize,
}

/// A part of a request, in the memory that is shared with the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Where it begins.
    pub(super) at: usize,
    /// Its length.
    pub(super) bytes: usize,
    /// Whether the device writes it, and does not read it.
    pub(super) device_writes: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    number: u16,
    /// Where it lies in the memory.
    at: usize,
    /// Entries of each ring, and buffers in use.
    size: u16,
    has_event_index: bool,
    notify_register: u64,
    /// Buffers that the device has.
    given: u128,
    /// Positions, which only count up: buffers put into the ring, of which the device has been told, and used
    /// ones taken out.
    offered: u16,
    told: u16,
    taken: u16,
    /// What the device has said that could not be.
    pub(super) nonsense: u32,
}

impl Queue {
    /// How many entries a queue can have; the device can have as many at most.
    pub(super) fn usable_size(most: u16) -> Option<u16> {
        let size = most.min(BUFFERS);
        (size > 0).then(|| 1 << size.ilog2())
    }

    /// What to tell the device of a queue that lies there: descriptors, available ring, used ring.
    pub(super) fn rings(memory: &DmaMemory, at: usize) -> Option<[DeviceAddress; 3]> {
        let part = |from: usize, to: usize| memory.device_address(at + from, to - from);
        Some([part(0, AVAILABLE)?, part(AVAILABLE, USED)?, part(USED, USED_END)?])
    }

    /// An empty queue, in memory that the last life of this domain may have used. [`Self::rings`] has said
    /// that it fits; whether its buffers do, the driver knows.
    pub(super) fn new(
        number: u16,
        memory: &DmaMemory,
        at: usize,
        size: u16,
        has_event_index: bool,
        notify_register: u64,
    ) -> Self {
        for word in (at..at + FIRST_BUFFER).step_by(8) {
            memory.store64(word, 0);
        }
        Self {
            number,
            at,
            size,
            has_event_index,
            notify_register,
            given: 0,
            offered: 0,
            told: 0,
            taken: 0,
            nonsense: 0,
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// How many descriptors it has.
    pub(super) fn size(&self) -> u16 {
        self.size
    }

    pub(super) fn notify_register(&self) -> u64 {
        self.notify_register
    }

    /// Where a buffer lies in the memory.
    pub(super) fn buffer(&self, buffer: u16) -> usize {
        self.at + FIRST_BUFFER + usize::from(buffer % BUFFERS) * BUFFER_BYTES
    }

    /// A buffer that the device does not have.
    pub(super) fn free_buffer(&self) -> Option<u16> {
        let buffer = (!self.given).trailing_zeros() as u16;
        (buffer < self.size).then_some(buffer)
    }

    /// Gives a buffer to the device, to read this many bytes of, or to write. It sees it with the next
    /// [`Self::publish`].
    pub(super) fn give(&mut self, memory: &DmaMemory, buffer: u16, bytes: usize, device_writes: bool) {
        let part = Part { at: self.buffer(buffer), bytes: bytes.min(BUFFER_BYTES), device_writes };
        if self.describe(memory, buffer, part, false).is_some() {
            self.offer(memory, buffer);
        }
    }

    /// Gives the device a chain of parts, whose descriptors are those from `first` on. It comes back as `first`. False,
    /// and nothing is given, if a part does not lie in the memory.
    pub(super) fn give_chain(&mut self, memory: &DmaMemory, first: u16, parts: &[Part]) -> bool {
        for (number, part) in (first..).zip(parts) {
            let is_followed = usize::from(number - first) + 1 < parts.len();
            if self.describe(memory, number, *part, is_followed).is_none() {
                return false;
            }
        }
        self.offer(memory, first);
        true
    }

    /// Writes a descriptor; what follows it is described by the next one.
    fn describe(&self, memory: &DmaMemory, number: u16, part: Part, is_followed: bool) -> Option<()> {
        let address = memory.device_address(part.at, part.bytes)?;
        let descriptor = self.at + usize::from(number) * DESCRIPTOR_BYTES;
        let flags = if part.device_writes { DEVICE_WRITES } else { 0 };
        memory.store64(descriptor, address.number());
        memory.store32(descriptor + 8, part.bytes as u32);
        memory.store16(descriptor + 12, flags | if is_followed { IS_FOLLOWED } else { 0 });
        memory.store16(descriptor + 14, number + 1);
        Some(())
    }

    fn offer(&mut self, memory: &DmaMemory, first: u16) {
        memory.store16(self.at + AVAILABLE + 4 + 2 * self.slot(self.offered), first);
        self.given |= 1 << first;
        self.offered = self.offered.wrapping_add(1);
    }

    /// Shows the device what was given. Returns whether it wants to be notified of it.
    pub(super) fn publish(&mut self, memory: &DmaMemory) -> bool {
        let (before, now) = (self.told, self.offered);
        if before == now {
            return false;
        }
        memory.store16(self.at + AVAILABLE + 2, now);
        self.told = now;
        // The device writes when it wants to be told, then looks for more: one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.has_event_index {
            let wanted = memory.load16(self.at + USED + 4 + 8 * usize::from(self.size));
            passes(wanted, before, now)
        } else {
            memory.load16(self.at + USED) & NO_NOTIFICATION == 0
        }
    }

    /// Takes back the next buffer that the device has used. Numbers that it cannot have used are passed over.
    pub(super) fn take(&mut self, memory: &DmaMemory) -> Option<Used> {
        for _ in 0..self.size {
            if self.used(memory) == 0 {
                return None;
            }
            let entry = self.at + USED + 4 + 8 * self.slot(self.taken);
            let (number, bytes) = (memory.load32(entry), memory.load32(entry + 4));
            self.taken = self.taken.wrapping_add(1);
            let was_given = number < self.size.into() && self.given & 1 << number != 0;
            if was_given {
                self.given &= !(1 << number);
                return Some(Used { buffer: number as u16, bytes: (bytes as usize).min(BUFFER_BYTES) });
            }
            self.nonsense = self.nonsense.saturating_add(1);
        }
        None
    }

    /// Asks for an interrupt when more than `others` further buffers are used. Returns whether that is not so
    /// already: only then is there something to wait for.
    pub(super) fn prepare_wait(&mut self, memory: &DmaMemory, others: u16) -> bool {
        if self.has_event_index {
            let event = self.at + AVAILABLE + 4 + 2 * usize::from(self.size);
            memory.store16(event, self.taken.wrapping_add(others));
        } else {
            memory.store16(self.at + AVAILABLE, 0);
        }
        fence(Ordering::SeqCst);
        self.used(memory) <= others
    }

    /// Asks for no interrupts. With an event index there is nothing to do: it asks for one at a position,
    /// which is passed once.
    pub(super) fn ask_nothing(&self, memory: &DmaMemory) {
        if !self.has_event_index {
            memory.store16(self.at + AVAILABLE, NO_NOTIFICATION);
        }
    }

    /// How many buffers the device has.
    pub(super) fn given_count(&self) -> u16 {
        self.given.count_ones() as u16
    }

    /// How many used buffers wait to be taken, as the device says.
    fn used(&self, memory: &DmaMemory) -> u16 {
        memory.load16(self.at + USED + 2).wrapping_sub(self.taken)
    }

    /// The place of a position in a ring.
    fn slot(&self, position: u16) -> usize {
        usize::from(position % self.size)
    }
}

/// Whether going from position `before` to `now` passes the one behind `event` (section 2.7.10).
fn passes(event: u16, before: u16, now: u16) -> bool {
    now.wrapping_sub(event).wrapping_sub(1) < now.wrapping_sub(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_passed_once_also_where_they_wrap_around() {
        assert!(passes(5, 5, 6) && passes(5, 3, 9) && passes(8, 3, 9));
        assert!(!passes(9, 3, 9) && !passes(2, 3, 9) && !passes(4, 5, 5));
        assert!(passes(65_533, 65_530, 2) && passes(1, 65_530, 2) && !passes(2, 65_530, 2));
    }

    #[test]
    fn a_queue_has_a_power_of_two_entries() {
        let sizes = [0, 1, 3, 64, 127, 128, 256, 32768].map(Queue::usable_size);
        assert_eq!(sizes, [None, Some(1), Some(2), Some(64), Some(64), Some(128), Some(128), Some(128)]);
    }
}
