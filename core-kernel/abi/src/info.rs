//! The information page: what a domain was given, for the domain itself to read.
//!
//! The image builder writes one for each domain, the builder loads it, the domain sees it for reading at
//! [`crate::limits::INFO_ADDRESS`]. It tells a domain which slot a name of its `domain.toml` became; the
//! slots themselves stay what grants a right.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, image::Digest, plan::NONE};

/// First bytes of an information page.
pub const INFO_MAGIC: [u8; 8] = *b"cl-info\0";
/// Entries that fit into the page after its header.
pub const MAX_INFO_ENTRIES: usize =
    (crate::limits::PAGE_BYTES as usize - size_of::<InfoHeader>()) / size_of::<InfoEntry>();

/// The start of an information page. `entry_count` times [`InfoEntry`] follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InfoHeader {
    /// [`INFO_MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::ABI_VERSION`].
    pub abi_version: u32,
    /// Number of entries.
    pub entry_count: u32,
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
}

/// One thing that the domain was given.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InfoEntry {
    /// What the domain's `domain.toml` calls it.
    pub name: Name,
    /// The other party: the server of a gate, the client that calls. Empty for devices.
    pub peer: Name,
    /// An [`InfoKind`].
    pub kind: u32,
    /// The slot, or [`crate::plan::NONE`] if it needs none. Client: the first of those that its grants fill.
    pub slot: u32,
    /// Gate and client: the badge.
    pub badge: u32,
    /// Use and client: slot of the event that signals the other party, or [`crate::plan::NONE`].
    pub signal_slot: u32,
    /// Bit in this domain's pending word that the other party or the interrupt sets, or
    /// [`crate::plan::NONE`].
    pub event_bit: u32,
    /// Use and client: the value of the manifest's `option` for this use (a TPM locality, say).
    pub option: u32,
    /// Device memory: which of the device's areas it is, counted from 0.
    pub area: u32,
    /// Ports: the first.
    pub first_port: u16,
    /// Ports: how many.
    pub port_count: u16,
    /// Address of the memory shared with the other party, of the device's registers, or of the settings; 0 if
    /// there is none. Where memory is one-way, what this domain writes and the other party reads.
    pub address: u64,
    /// Length of the memory, in bytes.
    pub bytes: u64,
    /// Use and client: where memory is one-way, address of what the other party writes and this domain reads,
    /// `bytes` long as well. Device memory: its physical address, for a driver that tells the device where to
    /// answer. Else 0.
    pub incoming_address: u64,
}

impl InfoEntry {
    /// Nothing: what an entry is made from.
    pub const EMPTY: Self = Self {
        name: Name::EMPTY,
        peer: Name::EMPTY,
        kind: 0,
        slot: NONE,
        badge: 0,
        signal_slot: NONE,
        event_bit: NONE,
        option: 0,
        area: 0,
        first_port: 0,
        port_count: 0,
        address: 0,
        bytes: 0,
        incoming_address: 0,
    };
}

/// What an [`InfoEntry`] describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum InfoKind {
    /// A gate that this domain calls.
    Use = 1,
    /// A client that calls this domain.
    Client = 2,
    /// Registers of a device.
    DeviceMemory = 3,
    /// A device's I/O ports.
    Ports = 4,
    /// A device's interrupt; `slot` acknowledges it.
    Interrupt = 5,
    /// A right, such as reading the kernel's log; `name` is the kind's name (`log-right`).
    Right = 6,
    /// Another domain, whose faults this one handles.
    Domain = 7,
    /// Memory of this domain's own, in `slot`, of `bytes`: not mapped yet, to map and to grant.
    Region = 8,
    /// Values that the manifest fixes, to read at `address`, of `bytes`: what they are, `name` says
    /// ([`SETTINGS_PORTS`] and such).
    Settings = 9,
    /// The guest that this domain runs ([`GUEST`]), in `slot`.
    Guest = 10,
    /// Memory that this domain and its guest see: mapped for reading and writing at `address`, of `bytes`. `area` is its
    /// number among the regions that are attached to the guest, or [`crate::plan::NONE`] ([`GUEST_FRAME`]).
    GuestMemory = 11,
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
/// Name of the settings that are the file of a guest's kernel.
pub const SETTINGS_KERNEL: &str = "kernel";
/// Name of the settings that are the file with which a guest's kernel begins.
pub const SETTINGS_INITRAMFS: &str = "initramfs";
/// Name of the settings that are the command line of a guest's kernel, as text in UTF-8.
pub const SETTINGS_CMDLINE: &str = "cmdline";

/// Name of the guest that a domain runs.
pub const GUEST: &str = "guest";
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
