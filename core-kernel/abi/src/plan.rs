//! The plan: the compiled manifest, as tables of plain values.
//!
//! The image builder writes it, the builder domain carries it out from top to bottom: create the regions,
//! load them, create the domains, map, fill the slots, start. It says everything in full; nothing is left to
//! be worked out at boot. Objects are named by their index in the plan's own tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, image::Digest};

/// First bytes of a plan.
pub const PLAN_MAGIC: [u8; 8] = *b"cl-plan\0";
/// "No such entry", where a field names another entry.
pub const NONE: u32 = u32::MAX;

/// The start of a plan: where its tables lie.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PlanHeader {
    /// [`PLAN_MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::ABI_VERSION`].
    pub abi_version: u32,
    /// Length of the whole plan, in bytes.
    pub plan_bytes: u32,
    /// Name of the system.
    pub system: Name,
    /// Table of [`DomainEntry`]. The builder is not in it.
    pub domains: Table,
    /// Table of [`RegionEntry`].
    pub regions: Table,
    /// Table of [`LoadEntry`].
    pub loads: Table,
    /// Table of [`MappingEntry`].
    pub mappings: Table,
    /// Table of [`SlotEntry`].
    pub slots: Table,
    /// Table of [`PortEntry`].
    pub ports: Table,
    /// [`SYSTEM_PRINT_CENSUS`] and such.
    pub flags: u32,
    /// The domain whose end is the end of the system, or [`NONE`].
    pub ends_with: u32,
}

/// Flag: the builder prints the census of rights when all domains are built.
pub const SYSTEM_PRINT_CENSUS: u32 = 1 << 0;

/// Where a table lies.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Table {
    /// From the start of the plan, in bytes; a multiple of 8.
    pub offset: u32,
    /// Number of entries.
    pub count: u32,
}

/// A domain to build.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DomainEntry {
    /// Its name.
    pub name: Name,
    /// Where the bytes of its image lie in the system image.
    pub image_offset: u64,
    /// How many they are.
    pub image_bytes: u64,
    /// Their digest, checked before anything starts and again before a restart.
    pub digest: Digest,
    /// Address of the first instruction.
    pub entry: u64,
    /// First address above the stack.
    pub stack: u64,
    /// Pages for its page tables; see [`crate::call::CallNumber::DomainCreate`].
    pub quota_pages: u32,
    /// Its priority: 1 to 31.
    pub priority: u32,
    /// Time it may run in each period at its own priority, in microseconds.
    pub budget_us: u32,
    /// Length of the period, in microseconds; 0: no limit.
    pub period_us: u32,
    /// What happens when it faults: a [`FaultPolicy`].
    pub on_fault: u32,
    /// The domain that handles its faults (an index in this table), or [`NONE`]: the kernel or the builder
    /// does.
    pub fault_handler: u32,
    /// Event bit of that domain which says that there is a fault, or [`NONE`].
    pub fault_event: u32,
    /// Zero.
    pub reserved: u32,
}

/// What happens to a domain that has faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum FaultPolicy {
    /// It stays stopped. Who waits for it gets an error.
    Stop = 0,
    /// The whole system stops.
    Halt = 1,
    /// The builder stays, loads its image again and starts it again.
    Restart = 2,
    /// The domain named as its fault handler decides.
    Handler = 3,
}

impl FaultPolicy {
    /// The policy with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Stop, Self::Halt, Self::Restart, Self::Handler].get(usize::try_from(number).ok()?).copied()
    }
}

/// A region to create.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RegionEntry {
    /// What it is called in reports.
    pub name: Name,
    /// Physical address of device memory, or 0 for memory from anywhere.
    pub device_address: u64,
    /// Length, in pages.
    pub pages: u32,
    /// The domain to which it belongs; a restart of this domain fills it again. [`NONE`] if it belongs to
    /// none.
    pub owner: u32,
}

/// Bytes of the image to copy into a region. What no load covers is zero.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LoadEntry {
    /// Where the bytes lie in the system image.
    pub image_offset: u64,
    /// How many they are.
    pub bytes: u64,
    /// Where they go in the region, in bytes.
    pub region_offset: u64,
    /// The region.
    pub region: u32,
    /// Zero.
    pub reserved: u32,
}

/// A part of a region that a domain sees.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MappingEntry {
    /// Where it appears, aligned to a page.
    pub address: u64,
    /// The domain.
    pub domain: u32,
    /// The region.
    pub region: u32,
    /// First page of the region to map.
    pub first_page: u32,
    /// How many pages.
    pub pages: u32,
    /// [`crate::Rights`]: READ, WRITE, EXECUTE.
    pub rights: u32,
    /// Zero.
    pub reserved: u32,
}

/// A slot to fill in a domain's table.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SlotEntry {
    /// The domain whose slot it is.
    pub domain: u32,
    /// The slot's number, from 1 on. Slot 0 is the domain itself.
    pub slot: u32,
    /// A [`crate::ObjectKind`].
    pub kind: u32,
    /// Region: index of the region. Gate: the server. Event: the domain that is signalled. Interrupt: the
    /// line. Domain: its index.
    pub object: u32,
    /// [`crate::Rights`] for a region or domain.
    pub rights: u32,
    /// Gate: the badge. Event, interrupt and log right: the bit in the pending word.
    pub badge: u32,
    /// Gate: first slot of the server that this client's grants fill. Interrupt: [`INTERRUPT_LEVEL`] and
    /// such.
    pub detail: u32,
    /// Gate: how many such slots.
    pub count: u32,
}

/// The interrupt line is level triggered (else edge).
pub const INTERRUPT_LEVEL: u32 = 1 << 0;
/// The interrupt line is active when low (else when high).
pub const INTERRUPT_ACTIVE_LOW: u32 = 1 << 1;

/// A range of I/O ports that a domain may use.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PortEntry {
    /// The domain.
    pub domain: u32,
    /// The first port.
    pub first: u16,
    /// How many.
    pub count: u16,
}
