//! Event channels (Xen's `event_channel.h`), in the form with two levels.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bind a virtual interrupt.
pub const BIND_VIRQ: u64 = 1;
/// Close a port.
pub const CLOSE: u64 = 3;
/// Raise the other end.
pub const SEND: u64 = 4;
/// A port for someone to bind to.
pub const ALLOC_UNBOUND: u64 = 6;
/// Bind an interrupt between virtual CPUs.
pub const BIND_IPI: u64 = 7;
/// Which virtual CPU a port tells.
pub const BIND_VCPU: u64 = 8;
/// Take events of a port again.
pub const UNMASK: u64 = 9;

/// Virtual interrupts there are.
pub const VIRQS: u32 = 24;
/// The timer's virtual interrupt.
pub const VIRQ_TIMER: u32 = 0;

/// Argument of [`BIND_VIRQ`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BindVirq {
    /// Which.
    pub virq: u32,
    /// For which CPU.
    pub vcpu: u32,
    /// The port, as an answer.
    pub port: u32,
}

/// Argument of [`ALLOC_UNBOUND`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct AllocUnbound {
    /// Whose port it is.
    pub domain: u16,
    /// Who may bind to it.
    pub remote: u16,
    /// The port, as an answer.
    pub port: u32,
}

/// Argument of [`BIND_IPI`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BindIpi {
    /// For which CPU.
    pub vcpu: u32,
    /// The port, as an answer.
    pub port: u32,
}

/// Argument of [`BIND_VCPU`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BindVcpu {
    /// The port.
    pub port: u32,
    /// The CPU that it is to tell.
    pub vcpu: u32,
}
