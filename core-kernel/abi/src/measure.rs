//! The table of what is measured of a system image: rows that tile it; and the log of what was measured.
//!
//! The table lies directly behind the [`ImageHeader`](crate::image::ImageHeader), in the image's first page, and so is in its
//! own first row. The kernel does not read it; a boot loader that measures does.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of the table.
pub const ROWS_MAGIC: [u8; 8] = *b"cl-rows\0";
/// The most rows that an image can have.
pub const MAX_ROWS: usize = 64;
/// The most bytes that a row's name can have.
pub const MAX_ROW_NAME_BYTES: usize = 640;

/// The register for options of the boot loader.
pub const PCR_OPTIONS: u32 = 8;
/// The register for the kernel.
pub const PCR_KERNEL: u32 = 9;
/// The register for the header of the image and for the builder.
pub const PCR_BUILDER: u32 = 11;
/// The register for the plan.
pub const PCR_PLAN: u32 = 12;
/// The register for programs of domains and for files of guests.
pub const PCR_PROGRAMS: u32 = 13;
/// The register for what comes after the boot: domains that are started, and the log of a monitor.
pub const PCR_LATER: u32 = 14;

/// First bytes of the log that a boot loader hands on.
pub const BOOT_LOG_MAGIC: [u8; 8] = *b"cl-log\0\0";
/// Length of the memory in which it lies, header included: whole pages.
pub const BOOT_LOG_BYTES: u64 = 128 << 10;

/// The start of the log of what was measured. The events follow in the form of firmware's log; zeros fill the rest of
/// [`BOOT_LOG_BYTES`]. Memory without this start is that of a boot that was not measured.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BootLogHeader {
    /// [`BOOT_LOG_MAGIC`].
    pub magic: [u8; 8],
    /// Length of the events, in bytes.
    pub bytes: u64,
}

/// The start of the table. The [`RowEntry`]s follow, and then their names, one after the other.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RowsHeader {
    /// [`ROWS_MAGIC`].
    pub magic: [u8; 8],
    /// Number of rows.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
}

/// A run of bytes of the image that is measured as one.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RowEntry {
    /// Where it begins in the image: where the row before it ends.
    pub image_offset: u64,
    /// Its length, in bytes.
    pub image_bytes: u64,
    /// The register that it goes into.
    pub pcr: u32,
    /// Length of its name, in bytes.
    pub name_bytes: u32,
}
