//! The registers: where they are and what their bits mean (TIS 1.3, section on the register space; PTP
//! likewise).

use crate::tpm::Locality;

/// Who holds the locality; 8 bits.
pub(super) const ACCESS: u64 = 0x00;
/// What the TPM does; 32 bits.
pub(super) const STATUS: u64 = 0x18;
/// Commands in, responses out, a byte at a time.
pub(super) const DATA_FIFO: u64 = 0x24;
/// Vendor in the lower, device in the upper half; 32 bits.
pub(super) const VENDOR_AND_DEVICE: u64 = 0xf00;
/// Revision; 8 bits.
pub(super) const REVISION: u64 = 0xf04;

/// Where a locality's register is: each has a page.
pub(super) fn at(locality: Locality, register: u64) -> u64 {
    u64::from(locality.0) << 12 | register
}

/// The access register. Writing a bit asks for what it says, or gives it up.
#[derive(Clone, Copy)]
pub(super) struct Access(u8);

impl Access {
    /// The other bits mean something.
    pub(super) const VALID: u8 = 0x80;
    /// This locality is the active one; written: give it up.
    pub(super) const ACTIVE: u8 = 0x20;
    /// Written: ask for this locality.
    pub(super) const REQUEST_USE: u8 = 0x02;

    pub(super) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(super) fn contains(self, flags: u8) -> bool {
        self.0 & flags == flags
    }

    /// Nothing drives the bus: no TPM shows all bits, because some are reserved.
    pub(super) fn is_absent(self) -> bool {
        self.0 == u8::MAX
    }
}

/// The status register. Its flags are the lowest byte, which is what is written; then come 16 bits of burst
/// count.
#[derive(Clone, Copy)]
pub(super) struct Status(pub(super) u32);

impl Status {
    /// `DATA_AVAILABLE` and `EXPECT` mean something.
    pub(super) const VALID: u8 = 0x80;
    /// Ready for a command; written: get ready, abort what is going on.
    pub(super) const COMMAND_READY: u8 = 0x40;
    /// Written: carry out the command.
    pub(super) const GO: u8 = 0x20;
    /// There is more of the response to read.
    pub(super) const DATA_AVAILABLE: u8 = 0x10;
    /// There is more of the command to write.
    pub(super) const EXPECT: u8 = 0x08;

    pub(super) fn contains(self, flags: u8) -> bool {
        self.0 & u32::from(flags) == u32::from(flags)
    }

    /// Bytes that can be written or read now without another look at the status.
    pub(super) fn burst(self) -> usize {
        let [_, low, high, _] = self.0.to_le_bytes();
        usize::from(u16::from_le_bytes([low, high]))
    }

    /// Nothing drives the bus.
    pub(super) fn is_absent(self) -> bool {
        self.0 == u32::MAX
    }
}
