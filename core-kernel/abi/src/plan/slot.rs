//! What fills the slots of a domain, a type for each kind. Slot 0 of each domain is the domain itself.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A gate: an entry into a server.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GateEntry {
    /// The client.
    pub domain: u32,
    /// The client's slot.
    pub slot: u32,
    /// The thread that serves.
    pub server: u32,
    /// What tells the server who calls.
    pub badge: u32,
    /// First slot of the server's domain that this client's grants fill.
    pub first_grant: u32,
    /// How many such slots there are.
    pub grants: u32,
}

/// An event: a bit in the pending word of another domain's thread.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct EventEntry {
    /// The domain that signals.
    pub domain: u32,
    /// Its slot.
    pub slot: u32,
    /// The thread that is signalled.
    pub target: u32,
    /// The bit.
    pub event: u32,
}

/// A region in a slot, for a domain to map and to pass on by itself.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RegionSlotEntry {
    /// The domain.
    pub domain: u32,
    /// Its slot.
    pub slot: u32,
    /// The region.
    pub region: u32,
    /// What the domain may do with it: [`crate::Rights`].
    pub rights: u32,
}

/// A domain whose faults another one handles.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SupervisionEntry {
    /// The domain that handles them.
    pub domain: u32,
    /// Its slot, which holds the subject.
    pub slot: u32,
    /// The domain that faults.
    pub subject: u32,
    /// Event bit of the handler's first thread that tells of a fault.
    pub event: u32,
}

/// A right.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RightEntry {
    /// The domain.
    pub domain: u32,
    /// Its slot.
    pub slot: u32,
    /// Which: an [`ObjectKind`](crate::ObjectKind) that is a right. For
    /// [`ManageRight`](crate::ObjectKind::ManageRight) the slot gets a gate into the builder.
    pub kind: u32,
    /// Event bit of its first thread that says that there is something to be done with it: text to read, a question to
    /// answer, a domain that has ended. [`NONE`](super::NONE) for other rights.
    pub event: u32,
}
