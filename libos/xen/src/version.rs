//! What the hypervisor says of itself (Xen's `version.h`, `features.h`, `memory.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Its version; at the same time the call that a guest makes to have events delivered.
pub const VERSION: u64 = 0;
/// What comes behind the version's number: [`EXTRA_BYTES`].
pub const EXTRA_VERSION: u64 = 1;
/// A word of features.
pub const FEATURES: u64 = 6;

/// Bytes of [`EXTRA_VERSION`].
pub const EXTRA_BYTES: usize = 16;

/// Argument of [`FEATURES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FeatureInfo {
    /// Which word.
    pub index: u32,
    /// The word, as an answer.
    pub word: u32,
}

/// Feature: a root of page tables may lie above 4 GiB.
pub const PAE_ROOT_ABOVE_4GB: u32 = 1 << 4;
/// Feature: `mmu_update` can keep the bits accessed and dirty.
pub const KEEPS_ACCESSED_DIRTY: u32 = 1 << 5;
/// Feature: the bits of entries that are free belong to the guest, in mapped grants as well.
pub const GRANT_BITS_FREE: u32 = 1 << 7;

/// `memory_op`: the memory that there is, as ranges.
pub const MEMORY_MAP: u64 = 9;
/// `memory_op`: where the table of frames lies.
pub const MACHINE_TO_PHYSICAL: u64 = 12;

/// Argument of [`MEMORY_MAP`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MemoryMap {
    /// Ranges that there is room for; as an answer, ranges.
    pub entries: u32,
    /// Not used.
    pub pad: u32,
    /// Where they go.
    pub buffer: u64,
}

/// A range of memory, as a PC's firmware tells it. It takes 20 bytes, so it has no fields of 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MemoryRange {
    /// Address, the low half first.
    pub start: [u32; 2],
    /// Bytes, the low half first.
    pub bytes: [u32; 2],
    /// What it is.
    pub kind: u32,
}

const _: () = assert!(size_of::<MemoryRange>() == 20);

/// [`MemoryRange::kind`]: memory.
pub const RAM: u32 = 1;

/// Argument of [`MACHINE_TO_PHYSICAL`], all of it an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MachineToPhysical {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Last frame in it.
    pub max_frame: u64,
}

/// `physdev_op`: the privilege that I/O takes.
pub const SET_IOPL: u64 = 6;
/// `physdev_op`: ports that user programs may use.
pub const SET_IOBITMAP: u64 = 7;
