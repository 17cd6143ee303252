//! The plan: the compiled manifest, as tables of plain values.
//!
//! The image builder writes it, the builder domain carries it out, one domain after the other. It says everything
//! in full; nothing is left to be worked out at boot. Each kind of thing has a table of its own, whose entries mean
//! the same in every row. Objects are named by their index in the plan's own tables.

mod device;
mod guest;
mod image;
mod slot;

pub use device::{AreaEntry, ConfigurationPageEntry, DeviceEntry, DmaEntry, InterruptEntry, IoRangeEntry};
pub use guest::{FileEntry, GuestEntry};
pub use image::{ImageEntry, MAX_IMAGES, ProgramEntry};
pub use slot::{EventEntry, GateEntry, RegionSlotEntry, RightEntry, SupervisionEntry};

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
    /// Table of [`ThreadEntry`]: the first of each domain, in the order of the domains.
    pub threads: Table,
    /// Table of [`RegionEntry`].
    pub regions: Table,
    /// Table of [`LoadEntry`].
    pub loads: Table,
    /// Table of [`MappingEntry`].
    pub mappings: Table,
    /// Table of [`DeviceEntry`].
    pub devices: Table,
    /// Table of [`AreaEntry`].
    pub areas: Table,
    /// Table of [`ConfigurationPageEntry`].
    pub configuration_pages: Table,
    /// Table of [`IoRangeEntry`].
    pub io_ranges: Table,
    /// Table of [`InterruptEntry`].
    pub interrupts: Table,
    /// Table of [`DmaEntry`].
    pub dma: Table,
    /// Table of [`GateEntry`].
    pub gates: Table,
    /// Table of [`EventEntry`].
    pub events: Table,
    /// Table of [`RegionSlotEntry`].
    pub region_slots: Table,
    /// Table of [`SupervisionEntry`].
    pub supervisions: Table,
    /// Table of [`RightEntry`].
    pub rights: Table,
    /// Table of [`GuestEntry`].
    pub guests: Table,
    /// Table of [`FileEntry`].
    pub files: Table,
    /// Table of [`ImageEntry`].
    pub images: Table,
    /// Table of [`ProgramEntry`].
    pub programs: Table,
    /// [`SYSTEM_PRINT_CENSUS`] and such.
    pub flags: u32,
    /// The domain whose end is the end of the system, or [`NONE`].
    pub ends_with: u32,
    /// Pages of the budget: memory for the domains that are started on request.
    pub budget_pages: u32,
    /// Zero.
    pub reserved: u32,
    /// Where the policy lies in the system image, in bytes: a text that says who may reach whom. The builder builds no
    /// plan that allows what its policy does not say.
    pub policy_offset: u32,
    /// Length of the policy, in bytes.
    pub policy_bytes: u32,
}

/// Flag: the builder prints the census of rights when all domains are built.
pub const SYSTEM_PRINT_CENSUS: u32 = 1 << 0;

/// Where a table lies.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Table {
    /// From the start of the plan, or of what else has tables, in bytes; a multiple of 8.
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
    /// Where the bytes of its program lie in the system image: of the one that it runs unless it lives with an image that has
    /// a [`ProgramEntry`].
    pub image_offset: u64,
    /// How many they are.
    pub image_bytes: u64,
    /// Their digest, checked before anything starts and again before a restart.
    pub digest: Digest,
    /// Pages for its page tables; see [`crate::call::CallNumber::DomainCreate`].
    pub quota_pages: u32,
    /// What happens when it faults: a [`FaultPolicy`].
    pub on_fault: u32,
    /// About what the monitor is asked before it does so: [`Classes`](crate::access::Classes).
    pub asked: u32,
    /// When it is started: a [`StartPolicy`].
    pub start: u32,
    /// Event bit of its first thread that asks it to end, or [`NONE`].
    pub shutdown: u32,
    /// Zero.
    pub reserved: u32,
}

/// When a domain is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum StartPolicy {
    /// When all are built.
    Boot = 0,
    /// When the manager asks for it. Until then, and when it has been killed, it has no memory of the budget.
    OnRequest = 1,
}

impl StartPolicy {
    /// The policy with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Boot, Self::OnRequest].get(usize::try_from(number).ok()?).copied()
    }
}

/// What of a domain runs. A domain has one thread.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ThreadEntry {
    /// Address of the first instruction.
    pub entry: u64,
    /// First address above the stack.
    pub stack: u64,
    /// The domain.
    pub domain: u32,
    /// The CPU that it runs on; 0, as one CPU is in use.
    pub cpu: u32,
    /// Its priority: 1 to 31.
    pub priority: u32,
    /// Time it may run in each period at its own priority, in microseconds.
    pub budget_us: u32,
    /// Length of the period, in microseconds; 0: no limit.
    pub period_us: u32,
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
    /// The domain that has a [`SupervisionEntry`] for it decides.
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
    /// Length, in pages.
    pub pages: u32,
    /// What it is made of: a [`RegionSource`].
    pub source: u32,
    /// The domain to which it belongs; a restart of this domain fills it again. [`NONE`] if it belongs to
    /// none.
    pub owner: u32,
    /// Zero.
    pub reserved: u32,
}

/// What a region is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum RegionSource {
    /// Memory from anywhere, zeroed.
    Memory = 1,
    /// Registers of a device; an [`AreaEntry`] says of which, and where they lie.
    Device = 2,
    /// Memory of the budget, zeroed. The region has it while its owner is started, and is vacant otherwise.
    Budget = 3,
    /// The log of what was measured at boot; zeros if nothing was.
    BootLog = 4,
    /// The page of a PCI function in PCI's configuration space; a [`ConfigurationPageEntry`] says of which device. The
    /// region has one page.
    ConfigurationPage = 5,
}

impl RegionSource {
    /// The source with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let all = [Self::Memory, Self::Device, Self::Budget, Self::BootLog, Self::ConfigurationPage];
        all.into_iter().find(|source| *source as u32 == number)
    }
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
    /// The [`ImageEntry`] with which the region's owner lives if this is loaded, or [`NONE`]: with each.
    pub image: u32,
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
