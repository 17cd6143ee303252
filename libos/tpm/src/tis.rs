//! The registers of the FIFO interface, *TIS*: where they are in a locality's page, and what their bits mean (TCG *PC
//! Client Specific TPM Interface Specification* 1.3, section on the register space; *PC Client Platform TPM Profile*,
//! PTP, likewise).

/// Bytes of registers of each locality.
pub const LOCALITY_BYTES: u64 = 0x1000;

/// Who holds the locality; 8 bits.
pub const ACCESS: u64 = 0x00;
/// Which interrupts are wanted; 32 bits.
pub const INTERRUPT_ENABLE: u64 = 0x08;
/// The number of the interrupt; 8 bits.
pub const INTERRUPT_VECTOR: u64 = 0x0c;
/// Which interrupts there were; 32 bits.
pub const INTERRUPT_STATUS: u64 = 0x10;
/// What the interface can do; 32 bits.
pub const CAPABILITY: u64 = 0x14;
/// What the TPM does; 32 bits.
pub const STATUS: u64 = 0x18;
/// Commands in, responses out, a byte at a time.
pub const DATA_FIFO: u64 = 0x24;
/// Vendor in the lower, device in the upper half; 32 bits.
pub const VENDOR_AND_DEVICE: u64 = 0xf00;
/// Revision; 8 bits.
pub const REVISION: u64 = 0xf04;

/// The access register. Writing a bit asks for what it says, or gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// The other bits mean something.
    pub const VALID: u8 = 0x80;
    /// This locality is the active one; written: give it up.
    pub const ACTIVE: u8 = 0x20;
    /// Written: ask for this locality.
    pub const REQUEST_USE: u8 = 0x02;
    /// There was no late launch.
    pub const ESTABLISHMENT: u8 = 0x01;

    /// What was read.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether all of these are set.
    #[must_use]
    pub const fn contains(self, flags: u8) -> bool {
        self.0 & flags == flags
    }

    /// Nothing drives the bus: no TPM shows all bits, because some are reserved.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.0 == u8::MAX
    }
}

/// The status register. Its flags are the lowest byte, which is what is written; then come 16 bits of burst
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// `DATA_AVAILABLE` and `EXPECT` mean something.
    pub const VALID: u8 = 0x80;
    /// Ready for a command; written: get ready, abort what is going on.
    pub const COMMAND_READY: u8 = 0x40;
    /// Written: carry out the command.
    pub const GO: u8 = 0x20;
    /// There is more of the response to read.
    pub const DATA_AVAILABLE: u8 = 0x10;
    /// There is more of the command to write.
    pub const EXPECT: u8 = 0x08;
    /// Written: give the response once more, from its beginning.
    pub const RESPONSE_RETRY: u8 = 0x02;

    /// These flags and this burst count.
    #[must_use]
    pub const fn new(flags: u8, burst: u16) -> Self {
        let [low, high] = burst.to_le_bytes();
        Self(u32::from_le_bytes([flags, low, high, 0]))
    }

    /// Whether all of these are set.
    #[must_use]
    pub const fn contains(self, flags: u8) -> bool {
        self.0 & flags as u32 == flags as u32
    }

    /// Bytes that can be written or read now without another look at the status.
    #[must_use]
    pub fn burst(self) -> usize {
        let [_, low, high, _] = self.0.to_le_bytes();
        usize::from(u16::from_le_bytes([low, high]))
    }

    /// Nothing drives the bus.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.0 == u32::MAX
    }
}
