//! Grant entries (`grant_table.h`, version 1): what of a guest's memory a backend may read or write.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An entry of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GrantEntry {
    /// See [`KIND`] and [`READ_ONLY`].
    pub flags: u16,
    /// To which domain.
    pub domain: u16,
    /// Which frame.
    pub frame: u32,
}

/// Mask of what an entry is.
pub const KIND: u16 = 3;
/// The kind that lets another domain access the frame.
pub const PERMIT_ACCESS: u16 = 1;
/// The other domain may not write.
pub const READ_ONLY: u16 = 1 << 2;
