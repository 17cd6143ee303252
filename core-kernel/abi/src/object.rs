//! What a slot can hold, and the rights to it.

use bitflags::bitflags;

/// The type of the object that a slot refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ObjectKind {
    /// The slot is free.
    Empty = 0,
    /// A domain: its builder or its fault handler holds this.
    Domain = 1,
    /// A run of memory, or of device memory.
    Region = 2,
    /// An entry into a server domain, with a badge that tells the server who calls.
    Gate = 3,
    /// A bit in another domain's pending word.
    Event = 4,
    /// A hardware interrupt line that arrives as an event bit of the holder.
    Interrupt = 5,
    /// May create, change and destroy domains, and hand out devices.
    BuilderRight = 6,
    /// May read the kernel's log. While its holder runs, the kernel leaves the serial port to it.
    LogRight = 7,
    /// May read the census: which domain holds which slot.
    CensusRight = 8,
    /// May end the whole system.
    ShutdownRight = 9,
    /// A guest of the holder.
    Guest = 10,
    /// May be asked whether a domain may do what it is about to do, and decide: the holder is the *monitor*.
    MonitorRight = 11,
    /// May have the builder start and end domains: a word of plans alone. What its holder has in the slot is a gate.
    ManageRight = 12,
}

impl ObjectKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::Domain,
        Self::Region,
        Self::Gate,
        Self::Event,
        Self::Interrupt,
        Self::BuilderRight,
        Self::LogRight,
        Self::CensusRight,
        Self::ShutdownRight,
        Self::Guest,
        Self::MonitorRight,
        Self::ManageRight,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the kind is called in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Domain => "domain",
            Self::Region => "region",
            Self::Gate => "gate",
            Self::Event => "event",
            Self::Interrupt => "interrupt",
            Self::BuilderRight => "builder-right",
            Self::LogRight => "log-right",
            Self::CensusRight => "census-right",
            Self::ShutdownRight => "shutdown-right",
            Self::Guest => "guest",
            Self::MonitorRight => "monitor-right",
            Self::ManageRight => "manage-right",
        }
    }
}

bitflags! {
    /// What the holder of a slot may do with its object.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Rights: u32 {
        /// Region: map readable.
        const READ = 1 << 0;
        /// Region: map writable. A mapping is never writable and executable at once.
        const WRITE = 1 << 1;
        /// Region: map executable.
        const EXECUTE = 1 << 2;
        /// Region: pass on to another domain, and take back.
        const GRANT = 1 << 3;
        /// Domain: build it: map into it, fill its slots, start, stop and destroy it. Region: carve regions
        /// out of it, end it, take its memory and give it other. Only the builder holds it, because what it makes takes places in the
        /// kernel's tables.
        const BUILD = 1 << 4;
        /// Domain: learn of its faults, read them, and decide what happens then.
        const HANDLE_FAULT = 1 << 5;
        /// Region: learn where it lies in physical memory, for a device that reads and writes memory itself.
        const DMA = 1 << 6;
        /// Domain: hold it where it is, and let it go on.
        const MANAGE = 1 << 7;
    }
}

impl Rights {
    /// Each right with the letter that stands for it in reports.
    pub const LETTERS: [(Self, char); 8] = [
        (Self::READ, 'r'),
        (Self::WRITE, 'w'),
        (Self::EXECUTE, 'x'),
        (Self::GRANT, 'g'),
        (Self::BUILD, 'b'),
        (Self::HANDLE_FAULT, 'f'),
        (Self::DMA, 'd'),
        (Self::MANAGE, 'm'),
    ];
}
