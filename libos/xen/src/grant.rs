//! Grants (`grant_table.h`, version 1): what of a guest's memory a backend may read or write, and where the table of them
//! lies.

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

/// The entry for the console's ring, which is there when a guest begins (`GNTTAB_RESERVED_CONSOLE`).
pub const CONSOLE: u32 = 0;
/// The entry for the store's ring (`GNTTAB_RESERVED_XENSTORE`).
pub const STORE: u32 = 1;

/// Where the table lies.
pub const SETUP_TABLE: u64 = 2;
/// How large it is, and can be.
pub const QUERY_SIZE: u64 = 6;

/// Status: it was done.
pub const OKAY: i16 = 0;
/// Status: it was not.
pub const GENERAL_ERROR: i16 = -1;
/// Status: there is no such domain.
pub const BAD_DOMAIN: i16 = -2;

/// Argument of [`SETUP_TABLE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SetupTable {
    /// Whose.
    pub domain: u16,
    /// Not used.
    pub pad: u16,
    /// How many frames it is to have.
    pub frames: u32,
    /// The answer.
    pub status: i16,
    /// Not used.
    pub pad1: [u16; 3],
    /// Where the frames' numbers go.
    pub list: u64,
}

/// Argument of [`QUERY_SIZE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct QuerySize {
    /// Whose.
    pub domain: u16,
    /// Not used.
    pub pad: u16,
    /// Frames that it has, as an answer.
    pub frames: u32,
    /// Frames that it can have, as an answer.
    pub max_frames: u32,
    /// The answer.
    pub status: i16,
    /// Not used.
    pub pad1: u16,
}
