//! A network card for tests, here and in domains: its registers, and what it does with its queues.
//!
//! A test that uses it wrongly fails: the methods panic.

use std::{boxed::Box, cell::RefCell, rc::Rc, sync::atomic::AtomicU64, vec, vec::Vec};

use cloison_sys::dma::DmaMemory;

use super::super::{
    Interrupt, Place, VENDOR,
    transport::{COMMON, common, feature, status},
};
use crate::{
    pci::{CAPABILITY_VENDOR, simulated::SimulatedPage},
    registers::{Area, Registers},
};

/// Where the card is told that the memory lies.
const PHYSICAL: u64 = 0x123_4000;
/// Where the structures lie behind BAR 4.
const INTERRUPT: u64 = 0x1000;
const DEVICE: u64 = 0x2000;
const NOTIFY: u64 = 0x3000;
const MULTIPLIER: u64 = 4;
pub(super) const MAC: [u8; 6] = [2, 0, 0, 1, 2, 3];

/// A part of a chain: its place, its length, and whether it is written.
pub(in crate::virtio) type ChainPart = (usize, usize, bool);

/// One queue, as the card knows it.
#[derive(Clone, Copy, Default)]
pub(super) struct Ring {
    pub(super) size: u16,
    vector: u16,
    enabled: u16,
    descriptors: u64,
    available: u64,
    used: u64,
    seen: u16,
    pub(super) done: u16,
}

/// The card. Fields that a test may change before the start come first.
#[allow(missing_docs, reason = "named after the registers behind them")]
pub struct Card {
    pub offered: u64,
    pub sizes: [u16; 2],
    pub refuses_features: bool,
    pub never_resets: bool,
    pub refuses_vectors: bool,
    pub config: [u8; 8],
    pub(in crate::virtio) page: SimulatedPage,
    pub(super) vectors: SimulatedPage,
    pub(in crate::virtio) memory: DmaMemory,
    selects: [u32; 2],
    pub(in crate::virtio) accepted: u64,
    status: u8,
    queue: usize,
    pub(super) rings: [Ring; 2],
    pub sent: Vec<Vec<u8>>,
    pub notifications: u32,
    pub interrupts: u32,
}

/// What a driver sees of it.
#[derive(Clone)]
pub struct Part(Side);

#[derive(Clone)]
enum Side {
    Page(SimulatedPage),
    Registers(Rc<RefCell<Card>>),
}

impl Card {
    /// A card that behaves.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "nobody asks for one")]
    pub fn new() -> Self {
        let page = SimulatedPage::new(VENDOR, 0x1041);
        page.add_bar(1, 0x1000, false);
        page.add_bar(4, 0x4000, true);
        page.add_msix(0x98, 3, 1, 0);
        let places = [(0, 0x38), (NOTIFY, 0x1000), (INTERRUPT, 1), (DEVICE, 12)];
        for (kind, (at, bytes)) in (COMMON.number..).zip(places) {
            page.add_structure(0x40 + 20 * (kind - 1), kind, 4, (at as u32, bytes), MULTIPLIER as u32);
        }
        let vectors = SimulatedPage::new(0, 0);
        vectors.allow(0, &[0xff; 48]);
        let bytes = super::DMA_BYTES.max(super::super::block::DMA_BYTES);
        let words: Vec<_> = (0..bytes / 8).map(|_| AtomicU64::new(!0)).collect();
        Self {
            offered: 1 << 5 | 1 << 16 | 1 << 28 | feature::EVENT_INDEX | feature::VERSION_1,
            sizes: [256, 256],
            refuses_features: false,
            never_resets: false,
            refuses_vectors: false,
            config: [MAC[0], MAC[1], MAC[2], MAC[3], MAC[4], MAC[5], 1, 0],
            page,
            vectors,
            memory: DmaMemory::simulated(Box::leak(words.into_boxed_slice()), PHYSICAL),
            selects: [0; 2],
            accepted: 0,
            status: 0xf,
            queue: 0,
            rings: [Ring::default(); 2],
            sent: Vec::new(),
            notifications: 0,
            interrupts: 0,
        }
    }

    /// The card, for driver and test to share.
    #[must_use]
    pub fn shared(self) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(self))
    }

    /// Where a driver finds it.
    #[must_use]
    pub fn place(card: &Rc<RefCell<Self>>, interrupt: Interrupt) -> Place<Part> {
        let inside = card.borrow();
        let area = |registers, address, bytes| Area { registers, address, bytes };
        Place {
            config: Part(Side::Page(inside.page.clone())),
            registers: area(Part(Side::Registers(card.clone())), 0xfe00_0000, 0x4000),
            vectors: Some(area(Part(Side::Page(inside.vectors.clone())), 0xfe00_4000, 0x1000)),
            memory: inside.memory,
            interrupt,
        }
    }

    pub(super) fn has_event_index(&self) -> bool {
        self.accepted & feature::EVENT_INDEX != 0
    }

    /// The offset in the memory of what the card was told lies at an address.
    fn at(&self, address: u64) -> usize {
        let at = usize::try_from(address.wrapping_sub(PHYSICAL)).unwrap();
        assert!(at < self.memory.len(), "the card was sent out of the memory, to {address:#x}");
        at
    }

    /// The next buffer that a queue offers: its number, its place and its length.
    pub(in crate::virtio) fn next_buffer(&mut self, queue: usize) -> Option<(u16, usize, usize)> {
        let (number, parts) = self.next_chain(queue)?;
        let [(place, bytes, is_written)] = parts[..] else { panic!("a buffer has one part") };
        assert_eq!(is_written, queue == 0, "the card writes received frames only");
        Some((number, place, bytes))
    }

    /// The next chain that a queue offers: its number, and of each part the place, the length, and whether it is written.
    pub(in crate::virtio) fn next_chain(&mut self, queue: usize) -> Option<(u16, Vec<ChainPart>)> {
        let ring = self.rings[queue];
        let available = self.at(ring.available);
        if self.memory.load16(available + 2) == ring.seen {
            return None;
        }
        let number = self.memory.load16(available + 4 + 2 * usize::from(ring.seen % ring.size));
        self.rings[queue].seen = ring.seen.wrapping_add(1);
        if self.has_event_index() {
            let event = self.at(ring.used) + 4 + 8 * usize::from(ring.size);
            self.memory.store16(event, self.rings[queue].seen);
        }
        let (mut parts, mut next) = (Vec::new(), Some(number));
        while let Some(number) = next {
            assert!(number < ring.size && parts.len() < usize::from(ring.size), "a chain has an end");
            let descriptor = self.at(ring.descriptors) + 16 * usize::from(number);
            let flags = self.memory.load16(descriptor + 12);
            let (place, bytes) =
                (self.at(self.memory.load64(descriptor)), self.memory.load32(descriptor + 8));
            parts.push((place, bytes as usize, flags & 2 != 0));
            next = (flags & 1 != 0).then(|| self.memory.load16(descriptor + 14));
        }
        Some((number, parts))
    }

    /// Says that a buffer was used.
    pub(in crate::virtio) fn finish(&mut self, queue: usize, number: u32, bytes: u32) {
        let ring = self.rings[queue];
        let used = self.at(ring.used);
        let entry = used + 4 + 8 * usize::from(ring.done % ring.size);
        self.memory.store32(entry, number);
        self.memory.store32(entry + 4, bytes);
        let done = ring.done.wrapping_add(1);
        self.rings[queue].done = done;
        self.memory.store16(used + 2, done);
        let available = self.at(ring.available);
        let interrupts = if self.has_event_index() {
            self.memory.load16(available + 4 + 2 * usize::from(ring.size)) == ring.done
        } else {
            self.memory.load16(available) == 0
        };
        self.interrupts += u32::from(interrupts);
    }

    /// A frame comes in by the wire. False if there is no buffer for it.
    pub fn receive(&mut self, frame: &[u8]) -> bool {
        self.receive_with([0; 12], frame)
    }

    /// The same with a header that says something.
    pub fn receive_with(&mut self, header: [u8; 12], frame: &[u8]) -> bool {
        let Some((number, place, bytes)) = self.next_buffer(0) else { return false };
        assert!(frame.len() + 12 <= bytes);
        assert!(self.memory.write(place, &header) && self.memory.write(place + 12, frame));
        self.finish(0, number.into(), frame.len() as u32 + 12);
        true
    }

    /// Brings out all that there is to send.
    pub fn transmit(&mut self) {
        while let Some((number, place, bytes)) = self.next_buffer(1) {
            let mut frame = vec![0; bytes];
            assert!(self.memory.read(place, &mut frame));
            let data = frame.split_off(12);
            self.sent.push(if frame == [0; 12] { data } else { self.with_checksum(&frame, data) });
            self.finish(1, number.into(), 0);
        }
    }

    /// Computes the checksum that a header leaves open: the words from its start on, as RFC 1071 has it.
    fn with_checksum(&self, header: &[u8], mut frame: Vec<u8>) -> Vec<u8> {
        assert!(self.accepted & 1 != 0, "a header that asks for nothing");
        let word = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (start, place) = (word(6), word(6) + word(8));
        assert_eq!(header, [1, 0, 0, 0, 0, 0, header[6], header[7], header[8], header[9], 0, 0]);
        let mut sum = 0_u64;
        for pair in frame[start..].chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        frame[place..place + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        frame
    }

    fn read(&mut self, at: u64) -> u64 {
        let ring = self.rings.get(self.queue).copied().unwrap_or_default();
        match at {
            common::DEVICE_FEATURE => self.offered >> (32 * self.selects[0]) & u64::from(u32::MAX),
            common::STATUS if self.never_resets => 0x80,
            common::STATUS => self.status.into(),
            common::QUEUE_SIZE => ring.size.into(),
            common::QUEUE_VECTOR if self.refuses_vectors => 0xffff,
            common::QUEUE_VECTOR => ring.vector.into(),
            common::QUEUE_NOTIFY => self.queue as u64,
            DEVICE..0x2008 => self.config[(at - DEVICE) as usize].into(),
            _ => 0,
        }
    }

    fn write(&mut self, at: u64, value: u64) {
        if (NOTIFY..NOTIFY + 2 * MULTIPLIER).contains(&at) {
            assert_eq!(value, (at - NOTIFY) / MULTIPLIER, "the queue's own register");
            self.notifications += 1;
            return;
        }
        let half = |old: u64, shift: u32| old & !(0xffff_ffff_u64 << shift) | value << shift;
        let ring = &mut self.rings[self.queue];
        match at {
            common::DEVICE_FEATURE_SELECT => self.selects[0] = value as u32,
            common::DRIVER_FEATURE_SELECT => self.selects[1] = value as u32,
            common::DRIVER_FEATURE => self.accepted = half(self.accepted, 32 * self.selects[1]),
            common::STATUS if value == 0 => self.reset(),
            common::STATUS if self.refuses_features => self.status = value as u8 & !status::FEATURES_OK,
            common::STATUS => self.status = value as u8,
            common::QUEUE_SELECT => self.queue = value as usize,
            common::QUEUE_SIZE => ring.size = value as u16,
            common::QUEUE_VECTOR => ring.vector = value as u16,
            common::QUEUE_ENABLE => ring.enabled = value as u16,
            0x20 | 0x24 => ring.descriptors = half(ring.descriptors, 8 * (at as u32 - 0x20)),
            0x28 | 0x2c => ring.available = half(ring.available, 8 * (at as u32 - 0x28)),
            0x30 | 0x34 => ring.used = half(ring.used, 8 * (at as u32 - 0x30)),
            common::CONFIG_VECTOR => assert_eq!(value, 0xffff),
            _ => panic!("nothing is written at {at:#x}"),
        }
    }

    fn reset(&mut self) {
        self.status = 0;
        self.rings = self.sizes.map(|size| Ring { size, vector: 0xffff, ..Ring::default() });
    }

    #[cfg(test)]
    pub(super) fn is_up(&self) -> bool {
        self.status & status::DRIVER_OK != 0 && self.rings.iter().all(|ring| ring.enabled == 1)
    }
}

impl SimulatedPage {
    /// A structure of a virtio device, in front of those that are there: where it lies, and how long it is.
    pub(super) fn add_structure(
        &self,
        capability: u8,
        kind: u8,
        bar: u8,
        (at, bytes): (u32, u32),
        multiplier: u32,
    ) {
        let mut body = vec![20, kind, bar, 0, 0, 0];
        body.extend([at, bytes, multiplier].map(u32::to_le_bytes).as_flattened());
        self.add_capability(capability, CAPABILITY_VENDOR, &body);
    }
}

impl Registers for Part {
    fn read8(&mut self, offset: u64) -> u8 {
        match &mut self.0 {
            Side::Page(page) => page.read8(offset),
            Side::Registers(card) => card.borrow_mut().read(offset) as u8,
        }
    }

    fn read16(&mut self, offset: u64) -> u16 {
        match &mut self.0 {
            Side::Page(page) => page.read16(offset),
            Side::Registers(card) => card.borrow_mut().read(offset) as u16,
        }
    }

    fn read32(&mut self, offset: u64) -> u32 {
        match &mut self.0 {
            Side::Page(page) => page.read32(offset),
            Side::Registers(card) => card.borrow_mut().read(offset) as u32,
        }
    }

    fn write8(&mut self, offset: u64, value: u8) {
        match &mut self.0 {
            Side::Page(page) => page.write8(offset, value),
            Side::Registers(card) => card.borrow_mut().write(offset, value.into()),
        }
    }

    fn write16(&mut self, offset: u64, value: u16) {
        match &mut self.0 {
            Side::Page(page) => page.write16(offset, value),
            Side::Registers(card) => card.borrow_mut().write(offset, value.into()),
        }
    }

    fn write32(&mut self, offset: u64, value: u32) {
        match &mut self.0 {
            Side::Page(page) => page.write32(offset, value),
            Side::Registers(card) => card.borrow_mut().write(offset, value.into()),
        }
    }
}
