//! The information page: what a domain was given, for the domain itself to read.
//!
//! The image builder writes one for each domain, the builder loads it, the domain sees it for reading at
//! [`crate::limits::INFO_ADDRESS`]. It tells a domain which slot a name of its `domain.toml` became; the slots
//! themselves stay what grants a right. Each kind of thing has a table of its own, as in the plan.

mod record;

pub use record::{
    Area, Channel, Client, ConfigurationPage, GuestMemory, Interrupt, IoRange, Party, Record, Region, Right,
    Settings, Subject, Use,
};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, image::Digest, plan::Table};

/// First bytes of an information page.
pub const INFO_MAGIC: [u8; 8] = *b"cl-info\0";
/// Room in the page for the tables, in bytes.
pub const INFO_TABLE_BYTES: usize = crate::limits::PAGE_BYTES as usize - size_of::<InfoHeader>();

/// The start of an information page: where its tables lie.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InfoHeader {
    /// [`INFO_MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::ABI_VERSION`].
    pub abi_version: u32,
    /// Slot of the guest that the domain runs, or [`crate::plan::NONE`].
    pub guest_slot: u32,
    /// The domain's name.
    pub domain: Name,
    /// Name of the system that it is part of.
    pub system: Name,
    /// SHA-256 of that system's manifest, as its author wrote it.
    pub manifest: Digest,
    /// Start of the heap.
    pub heap_address: u64,
    /// Length of the heap, in bytes.
    pub heap_bytes: u64,
    /// Table of [`Use`].
    pub uses: Table,
    /// Table of [`Client`].
    pub clients: Table,
    /// Table of [`Area`].
    pub areas: Table,
    /// Table of [`ConfigurationPage`].
    pub configuration_pages: Table,
    /// Table of [`IoRange`].
    pub io_ranges: Table,
    /// Table of [`Interrupt`].
    pub interrupts: Table,
    /// Table of [`Right`].
    pub rights: Table,
    /// Table of [`Subject`].
    pub subjects: Table,
    /// Table of [`Region`].
    pub regions: Table,
    /// Table of [`Settings`].
    pub settings: Table,
    /// Table of [`GuestMemory`].
    pub guest_memory: Table,
    /// Bit in this domain's pending word that asks it to end, or [`crate::plan::NONE`].
    pub shutdown_event: u32,
    /// Pages that the guest has in this life, if the manager has asked for that: the builder writes it whenever it starts
    /// the domain. 0: as many as its [`GuestMemory`] says.
    pub guest_pages: u32,
    /// With which of its images the domain lives, as the manager has said: of a guest, the kernel. The builder writes it, too.
    pub image: u32,
    /// Zero.
    pub reserved: u32,
}

/// Name of the settings that are an array of [`crate::port::PortSettings`]: a switch's ports, in the order of
/// their numbers, or the ports that a domain has on switches.
pub const SETTINGS_PORTS: &str = "ports";
/// Name of the settings that are the domain's arguments, as text in UTF-8.
pub const SETTINGS_ARGUMENTS: &str = "arguments";
/// Name of the settings that are the manifest's policy, as in [`crate::policy`]: the monitor's.
pub const SETTINGS_POLICY: &str = "policy";
/// Name of the settings that are the domains of the system, as in [`crate::directory`].
pub const SETTINGS_DIRECTORY: &str = "directory";
/// Name of the settings that say who may have what done to which domains, as in [`crate::management`]: the manager's.
pub const SETTINGS_MANAGEMENT: &str = "management";
/// Names of the settings that are files of kernels, with one of which a guest begins: which, the page says
/// ([`InfoHeader::image`]).
pub const SETTINGS_KERNELS: [&str; 4] = ["kernel", "kernel-2", "kernel-3", "kernel-4"];
/// Name of the settings that are the file with which a guest's kernel begins.
pub const SETTINGS_INITRAMFS: &str = "initramfs";
/// Name of the settings that are the command line of a guest's kernel, as text in UTF-8.
pub const SETTINGS_CMDLINE: &str = "cmdline";

/// Name of the manager's gate into the builder.
pub const MANAGE_GATE: &str = "manage";
/// Name of the settings that are the log of what was measured at boot, as in
/// [`BootLogHeader`](crate::measure::BootLogHeader).
pub const SETTINGS_BOOT_LOG: &str = "boot-log";

/// Name of the memory that begins with the frame page.
pub const GUEST_FRAME: &str = "frame";
/// Name of the memory that is the guest's own.
pub const GUEST_RAM: &str = "ram";
/// Name of the memory that a guest shares with its domain beside its own.
pub const GUEST_SHARED: &str = "shared";
/// Name of the memory in which a guest only reads: for each of its pages, the number of the page that stands for it.
pub const GUEST_NUMBERS: &str = "page-numbers";
/// Name of the memory in which a guest is saved. The guest does not see it, and it stays when the domain is restarted.
pub const GUEST_SAVED: &str = "saved";
