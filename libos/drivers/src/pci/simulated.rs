//! A configuration page for tests: bytes, of which some bits can be written.

use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use super::*;

/// The page. Clones are the same page.
#[derive(Clone)]
pub(crate) struct SimulatedPage(pub(crate) Rc<RefCell<Page>>);

pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    writable: Vec<u8>,
}

impl SimulatedPage {
    pub(crate) fn new(vendor: u16, device: u16) -> Self {
        let bytes = vec![0; CONFIG_BYTES as usize];
        let page = Self(Rc::new(RefCell::new(Page { writable: bytes.clone(), bytes })));
        page.set(register::VENDOR, &vendor.to_le_bytes());
        page.set(register::DEVICE, &device.to_le_bytes());
        page.set(register::STATUS, &STATUS_CAPABILITIES.to_le_bytes());
        page.allow(register::COMMAND, &[0xff; 2]);
        page
    }

    /// Sets bytes, whatever a driver could write.
    pub(crate) fn set(&self, at: u64, bytes: &[u8]) {
        self.0.borrow_mut().bytes[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Which bits a driver can write.
    pub(crate) fn allow(&self, at: u64, bits: &[u8]) {
        self.0.borrow_mut().writable[at as usize..][..bits.len()].copy_from_slice(bits);
    }

    /// A BAR for memory of this length, where the firmware has put it.
    pub(crate) fn add_bar(&self, bar: u64, bytes: u64, is_wide: bool) {
        let at = register::FIRST_BAR + 4 * bar;
        let width = if is_wide { 8 } else { 4 };
        let flags = if is_wide { BAR_WIDTH_64 } else { 0 };
        self.set(at, &(0x7700_0000 | flags).to_le_bytes());
        self.allow(at, &(!(bytes - 1)).to_le_bytes()[..width]);
    }

    /// Puts a capability in front of those that are there.
    pub(crate) fn add_capability(&self, at: u8, id: u8, body: &[u8]) {
        let next = self.byte(register::FIRST_CAPABILITY);
        self.set(at.into(), &[id, next]);
        self.set(u64::from(at) + 2, body);
        self.set(register::FIRST_CAPABILITY, &[at]);
    }

    pub(crate) fn add_msix(&self, at: u8, vectors: u16, bar: u8, table: u32) {
        let mut body = (vectors - 1).to_le_bytes().to_vec();
        body.extend((table | u32::from(bar)).to_le_bytes());
        self.add_capability(at, CAPABILITY_MSIX, &body);
        self.allow(u64::from(at) + 3, &[0xc0]);
    }

    pub(crate) fn byte(&self, at: u64) -> u8 {
        self.0.borrow().bytes[at as usize]
    }

    pub(crate) fn word(&self, at: u64) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|byte| self.byte(at + byte)))
    }
}

impl Registers for SimulatedPage {
    fn read8(&mut self, offset: u64) -> u8 {
        self.byte(offset)
    }

    fn read16(&mut self, offset: u64) -> u16 {
        assert!(offset.is_multiple_of(2));
        u16::from_le_bytes([self.byte(offset), self.byte(offset + 1)])
    }

    fn read32(&mut self, offset: u64) -> u32 {
        assert!(offset.is_multiple_of(4));
        self.word(offset)
    }

    fn write8(&mut self, offset: u64, value: u8) {
        let mut page = self.0.borrow_mut();
        let bits = page.writable[offset as usize];
        let byte = &mut page.bytes[offset as usize];
        *byte = *byte & !bits | value & bits;
    }

    fn write16(&mut self, offset: u64, value: u16) {
        assert!(offset.is_multiple_of(2));
        (offset..).zip(value.to_le_bytes()).for_each(|(at, byte)| self.write8(at, byte));
    }

    fn write32(&mut self, offset: u64, value: u32) {
        assert!(offset.is_multiple_of(4));
        (offset..).zip(value.to_le_bytes()).for_each(|(at, byte)| self.write8(at, byte));
    }
}
