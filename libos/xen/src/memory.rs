//! Calls on page tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where the table lies that says which of its frames a frame of the machine is. The address is free in all kernels: Xen
/// has used it from the start.
pub const MACHINE_TO_PHYSICAL: u64 = 0xffff_8000_0000_0000;

/// A request of `mmu_update`: bits 0 and 1 of the pointer are the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MmuUpdate {
    /// Address of the entry in the machine's memory, and the command.
    pub ptr: u64,
    /// What to store there.
    pub val: u64,
}

/// Mask of the commands of `mmu_update`.
pub const MMU_COMMAND: u64 = 3;
/// Store an entry.
pub const MMU_NORMAL: u64 = 0;
/// Say which frame of the guest a frame of the machine is.
pub const MMU_MACHINE_TO_PHYSICAL: u64 = 1;
/// Store an entry, and keep the bits *accessed* and *dirty* of the one that is there.
pub const MMU_PRESERVE_ACCESSED_DIRTY: u64 = 2;

/// Flags of `update_va_mapping`: what to flush, the rest of the word says on which CPUs.
pub const UPDATE_FLUSH: u64 = 3;
/// Flush all.
pub const UPDATE_FLUSH_ALL: u64 = 1;
/// Flush the one address.
pub const UPDATE_FLUSH_PAGE: u64 = 2;

/// An operation of `mmuext_op`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MmuExt {
    /// One of the commands below.
    pub cmd: u32,
    /// Not used.
    pub pad: u32,
    /// A frame, or an address.
    pub arg1: u64,
    /// A number, or where the set of CPUs lies.
    pub arg2: u64,
}

/// Commands of `mmuext_op`.
pub mod mmuext {
    /// A frame is a table of level 1 from now on.
    pub const PIN_L1_TABLE: u32 = 0;
    /// A frame is a table of level 2 from now on.
    pub const PIN_L2_TABLE: u32 = 1;
    /// A frame is a table of level 3 from now on.
    pub const PIN_L3_TABLE: u32 = 2;
    /// A frame is a table of level 4 from now on.
    pub const PIN_L4_TABLE: u32 = 3;
    /// A frame is no table any more.
    pub const UNPIN_TABLE: u32 = 4;
    /// The root of what the kernel sees.
    pub const NEW_BASEPTR: u32 = 5;
    /// Flush all on this CPU.
    pub const TLB_FLUSH_LOCAL: u32 = 6;
    /// Flush an address on this CPU.
    pub const INVLPG_LOCAL: u32 = 7;
    /// Flush all on some CPUs.
    pub const TLB_FLUSH_MULTI: u32 = 8;
    /// Flush an address on some CPUs.
    pub const INVLPG_MULTI: u32 = 9;
    /// Flush all on all CPUs.
    pub const TLB_FLUSH_ALL: u32 = 10;
    /// Flush an address on all CPUs.
    pub const INVLPG_ALL: u32 = 11;
    /// Flush the caches.
    pub const FLUSH_CACHE: u32 = 12;
    /// Where the local descriptor table lies.
    pub const SET_LDT: u32 = 13;
    /// The root of what user programs see; frame 0 for none.
    pub const NEW_USER_BASEPTR: u32 = 15;
}
