//! The page that hypervisor and guest share, and the information on a virtual CPU in it (Xen's `xen.h`).

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Information on a virtual CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct VcpuInfo {
    /// Not 0: there is an event.
    pub pending: u8,
    /// Not 0: none is to be delivered.
    pub mask: u8,
    /// Not used.
    pub pad: [u8; 6],
    /// Words of [`PENDING`] in which there is one.
    pub selector: u64,
    /// Address of the last page fault.
    pub cr2: u64,
    /// Not used.
    pub pad1: u64,
    /// The clock.
    pub time: TimeInfo,
}

const _: () = assert!(size_of::<VcpuInfo>() == 64);

impl VcpuInfo {
    /// Offset of [`Self::pending`].
    pub const PENDING: u64 = offset_of!(Self, pending) as u64;
    /// Offset of [`Self::mask`].
    pub const MASK: u64 = offset_of!(Self, mask) as u64;
    /// Offset of [`Self::selector`].
    pub const SELECTOR: u64 = offset_of!(Self, selector) as u64;
    /// Offset of [`Self::cr2`].
    pub const CR2: u64 = offset_of!(Self, cr2) as u64;
    /// Offset of [`Self::time`].
    pub const TIME: u64 = offset_of!(Self, time) as u64;
}

/// How the time-stamp counter becomes nanoseconds: `system_time + (((counter - stamp) << shift) * factor >> 32)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TimeInfo {
    /// Odd while the rest changes.
    pub version: u32,
    /// Not used.
    pub pad: u32,
    /// The counter at [`Self::system_time`].
    pub stamp: u64,
    /// Nanoseconds.
    pub system_time: u64,
    /// See above.
    pub factor: u32,
    /// See above; to the right if it is negative.
    pub shift: i8,
    /// See [`STABLE`].
    pub flags: u8,
    /// Not used.
    pub pad1: [u8; 2],
}

const _: () = assert!(size_of::<TimeInfo>() == 32);

/// In [`TimeInfo::flags`]: counters of all CPUs are alike.
pub const STABLE: u8 = 1;

/// Offset in the shared page of the events' bits.
pub const PENDING: u64 = 2048;
/// Offset in the shared page of the bits of events that are not wanted now.
pub const MASK: u64 = 2560;
/// Offset in the shared page of the calendar's time.
pub const WALL_CLOCK: u64 = 3072;

/// The calendar's time (UTC) when [`TimeInfo::system_time`] was 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct WallClock {
    /// Odd while the rest changes.
    pub version: u32,
    /// Seconds since 1970, the low half.
    pub seconds: u32,
    /// And nanoseconds.
    pub nanoseconds: u32,
    /// The high half of the seconds.
    pub seconds_high: u32,
}
