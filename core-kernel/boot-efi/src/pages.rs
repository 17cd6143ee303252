//! Memory that firmware gives to the loader. It is never given back: the kernel takes over all of it.
#![expect(unsafe_code, reason = "firmware names memory by its address")]

use core::{ptr::NonNull, slice};

use uefi_raw::{
    Status,
    table::boot::{AllocateType, MemoryType, PAGE_SIZE},
};

use crate::firmware::Firmware;

/// The kernel is entered in 32 bits, and looks no further.
const LAST_ADDRESS: u64 = (1 << 32) - 1;

/// Whole pages, of which the first bytes are in use. They lie below 4 GiB, where firmware maps each page at its own
/// address.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

impl Pages {
    /// Zeroed memory, wherever it is.
    pub(crate) fn anywhere(firmware: &Firmware, bytes: usize) -> Result<Self, Status> {
        Self::new(firmware, AllocateType::MAX_ADDRESS, MemoryType::LOADER_DATA, LAST_ADDRESS, bytes)
    }

    /// Zeroed memory that the kernel does not take for free.
    pub(crate) fn kept(firmware: &Firmware, bytes: usize) -> Result<Self, Status> {
        Self::new(firmware, AllocateType::MAX_ADDRESS, MemoryType::RESERVED, LAST_ADDRESS, bytes)
    }

    /// Zeroed memory at this address.
    pub(crate) fn at(firmware: &Firmware, address: u64, bytes: usize) -> Result<Self, Status> {
        Self::new(firmware, AllocateType::ADDRESS, MemoryType::LOADER_DATA, address, bytes)
    }

    fn new(
        firmware: &Firmware,
        how: AllocateType,
        kind: MemoryType,
        address: u64,
        bytes: usize,
    ) -> Result<Self, Status> {
        let room = bytes.max(1).next_multiple_of(PAGE_SIZE);
        let start = firmware.pages(how, kind, address, room)?;
        // SAFETY: firmware has given these pages to nobody else, and maps all memory.
        unsafe { start.as_ptr().write_bytes(0, room) };
        Ok(Self { start, bytes })
    }

    /// The bytes in use.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the pages are this value's alone, were zeroed, and are never given back.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    /// The bytes in use, to write to.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }

    /// Their address.
    pub(crate) fn start(&self) -> u32 {
        self.start.as_ptr() as u32
    }

    /// Where the bytes in use end.
    pub(crate) fn end(&self) -> u32 {
        self.start() + self.bytes as u32
    }
}
