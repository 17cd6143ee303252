//! The records of an information page, a type for each kind of thing.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::InfoHeader;
use crate::{
    Badge, Name,
    plan::{NONE, Table},
};

/// A record of the information page.
pub trait Record: FromBytes + IntoBytes + KnownLayout + Immutable + 'static {
    /// Where the table of such records lies.
    fn table(header: &InfoHeader) -> Table;

    /// What the domain's `domain.toml` calls it.
    fn name(&self) -> Name;

    /// The slot, or [`NONE`].
    fn slot(&self) -> u32 {
        NONE
    }

    /// Bit in this domain's pending word that it sets, or [`NONE`].
    fn event_bit(&self) -> u32 {
        NONE
    }
}

/// A record that tells of another domain, which this one calls or is called by.
pub trait Party: Record {
    /// What the two have between them.
    fn channel(&self) -> &Channel;

    /// The slot of the gate by which this domain calls, or [`NONE`].
    fn gate(&self) -> u32 {
        NONE
    }
}

/// What a client and its server have between them beside the gate, as one of the two sees it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Channel {
    /// The other party.
    pub peer: Name,
    /// By what the server knows the client.
    pub badge: Badge,
    /// Slot of the event that signals the other party, or [`NONE`].
    pub signal_slot: u32,
    /// Bit in this domain's pending word that the other party sets, or [`NONE`].
    pub event_bit: u32,
    /// The value of the manifest's `option` for this use (a TPM locality, say).
    pub option: u32,
    /// Address of the memory that both see, or 0. Where memory is one-way: of what this domain writes and the other
    /// party reads.
    pub address: u64,
    /// Where memory is one-way, address of what the other party writes and this domain reads; else 0.
    pub incoming_address: u64,
    /// Length of the memory, in bytes; of each of the two where it is one-way.
    pub bytes: u64,
}

impl Channel {
    /// Nothing but a peer.
    pub const EMPTY: Self = Self {
        peer: Name::EMPTY,
        badge: Badge(0),
        signal_slot: NONE,
        event_bit: NONE,
        option: 0,
        address: 0,
        incoming_address: 0,
        bytes: 0,
    };
}

/// A gate that this domain calls.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Use {
    /// What the domain's `domain.toml` calls it.
    pub name: Name,
    /// What there is beside the gate.
    pub channel: Channel,
    /// Slot of the gate.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
}

/// A client that calls this domain.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Client {
    /// The gate that it calls.
    pub name: Name,
    /// What there is beside the gate.
    pub channel: Channel,
    /// First slot of this domain that the client's grants fill.
    pub first_grant: u32,
    /// How many such slots there are.
    pub grants: u32,
}

/// An area of a device's registers.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Area {
    /// What the domain's `domain.toml` calls the device.
    pub name: Name,
    /// Which of the device's areas it is, counted from 0.
    pub number: u32,
    /// Zero.
    pub reserved: u32,
    /// Where the domain sees it.
    pub address: u64,
    /// Its length.
    pub bytes: u64,
    /// Where it lies for the device, which a driver may have to tell it.
    pub physical_address: u64,
}

/// The page of a device's PCI function in PCI's configuration space.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ConfigurationPage {
    /// What the domain's `domain.toml` calls the device.
    pub name: Name,
    /// Where the domain sees it.
    pub address: u64,
}

/// A device's I/O ports.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct IoRange {
    /// What the domain's `domain.toml` calls the device.
    pub name: Name,
    /// The first.
    pub first: u16,
    /// How many.
    pub count: u16,
    /// Zero.
    pub reserved: u32,
}

/// A device's interrupt.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Interrupt {
    /// What the domain's `domain.toml` calls the device.
    pub name: Name,
    /// The slot, which acknowledges it.
    pub slot: u32,
    /// Bit in this domain's pending word that it sets.
    pub event_bit: u32,
}

/// A right, such as reading the kernel's log.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Right {
    /// The name of its kind ([`crate::ObjectKind::name`]).
    pub name: Name,
    /// The slot.
    pub slot: u32,
    /// Bit in this domain's pending word that says that there is something to be done with it, or [`NONE`].
    pub event_bit: u32,
}

/// Another domain, whose faults this one handles.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Subject {
    /// The other domain.
    pub name: Name,
    /// The slot, which holds it.
    pub slot: u32,
    /// Bit in this domain's pending word that tells of a fault.
    pub event_bit: u32,
}

/// Memory of this domain's own, not mapped yet, to map and to grant.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Region {
    /// What the domain's `domain.toml` calls it.
    pub name: Name,
    /// The slot.
    pub slot: u32,
    /// Zero.
    pub reserved: u32,
    /// Its length.
    pub bytes: u64,
}

/// Values that the manifest fixes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Settings {
    /// What they are: [`SETTINGS_PORTS`](super::SETTINGS_PORTS) and such.
    pub name: Name,
    /// Where to read them.
    pub address: u64,
    /// Their length.
    pub bytes: u64,
}

/// Memory that this domain and its guest see, mapped for reading and writing.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GuestMemory {
    /// What it is: [`GUEST_RAM`](super::GUEST_RAM) and such.
    pub name: Name,
    /// Its number among the regions that are attached to the guest, or [`NONE`]
    /// ([`GUEST_FRAME`](super::GUEST_FRAME)).
    pub number: u32,
    /// Zero.
    pub reserved: u32,
    /// Where the domain sees it.
    pub address: u64,
    /// Its length.
    pub bytes: u64,
}

/// A record's table, its name, and what else it has: a slot, an event.
macro_rules! record {
    ($kind:ty, $table:ident $(, $has:ident: $($of:ident).+)*) => {
        impl Record for $kind {
            fn table(header: &InfoHeader) -> Table {
                header.$table
            }

            fn name(&self) -> Name {
                self.name
            }

            $(fn $has(&self) -> u32 {
                self.$($of).+
            })*
        }
    };
}

record!(Use, uses, slot: slot, event_bit: channel.event_bit);
record!(Client, clients, event_bit: channel.event_bit);
record!(Area, areas);
record!(ConfigurationPage, configuration_pages);
record!(IoRange, io_ranges);
record!(Interrupt, interrupts, slot: slot, event_bit: event_bit);
record!(Right, rights, slot: slot, event_bit: event_bit);
record!(Subject, subjects, slot: slot, event_bit: event_bit);
record!(Region, regions, slot: slot);
record!(Settings, settings);
record!(GuestMemory, guest_memory);

impl Party for Use {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn gate(&self) -> u32 {
        self.slot
    }
}

impl Party for Client {
    fn channel(&self) -> &Channel {
        &self.channel
    }
}
