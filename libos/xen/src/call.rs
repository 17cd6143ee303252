//! Hypercalls: their numbers, names and how several are made at once (Xen's `xen.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Numbers there are: all below can be called.
pub const NUMBERS: usize = 48;

/// Handlers of traps.
pub const SET_TRAP_TABLE: u64 = 0;
/// Entries of page tables.
pub const MMU_UPDATE: u64 = 1;
/// The global descriptor table.
pub const SET_GDT: u64 = 2;
/// The kernel's stack.
pub const STACK_SWITCH: u64 = 3;
/// Whether the use of floating point traps.
pub const FPU_TASKSWITCH: u64 = 5;
/// Writes a debug register.
pub const SET_DEBUGREG: u64 = 8;
/// Reads a debug register.
pub const GET_DEBUGREG: u64 = 9;
/// One entry of a descriptor table.
pub const UPDATE_DESCRIPTOR: u64 = 10;
/// What memory there is.
pub const MEMORY_OP: u64 = 12;
/// Several hypercalls.
pub const MULTICALL: u64 = 13;
/// The entry of one address.
pub const UPDATE_VA_MAPPING: u64 = 14;
/// What the hypervisor is.
pub const XEN_VERSION: u64 = 17;
/// Text.
pub const CONSOLE_IO: u64 = 18;
/// Pages lent to others.
pub const GRANT_TABLE_OP: u64 = 20;
/// Ways in which the hypervisor can help.
pub const VM_ASSIST: u64 = 21;
/// Return from a trap.
pub const IRET: u64 = 23;
/// Virtual CPUs.
pub const VCPU_OP: u64 = 24;
/// Bases of segments.
pub const SET_SEGMENT_BASE: u64 = 25;
/// Page tables as a whole.
pub const MMUEXT_OP: u64 = 26;
/// The virtual CPU's time.
pub const SCHED_OP: u64 = 29;
/// Handlers of events, system calls, failed returns.
pub const CALLBACK_OP: u64 = 30;
/// Event channels.
pub const EVENT_CHANNEL_OP: u64 = 32;
/// Physical devices.
pub const PHYSDEV_OP: u64 = 33;

/// What a number is called in Xen's headers; nothing if no guest of today uses it.
#[must_use]
pub const fn name(number: u64) -> &'static str {
    match number {
        SET_TRAP_TABLE => "set_trap_table",
        MMU_UPDATE => "mmu_update",
        SET_GDT => "set_gdt",
        STACK_SWITCH => "stack_switch",
        FPU_TASKSWITCH => "fpu_taskswitch",
        SET_DEBUGREG => "set_debugreg",
        GET_DEBUGREG => "get_debugreg",
        UPDATE_DESCRIPTOR => "update_descriptor",
        MEMORY_OP => "memory_op",
        MULTICALL => "multicall",
        UPDATE_VA_MAPPING => "update_va_mapping",
        XEN_VERSION => "xen_version",
        CONSOLE_IO => "console_io",
        GRANT_TABLE_OP => "grant_table_op",
        VM_ASSIST => "vm_assist",
        IRET => "iret",
        VCPU_OP => "vcpu_op",
        SET_SEGMENT_BASE => "set_segment_base",
        MMUEXT_OP => "mmuext_op",
        SCHED_OP => "sched_op",
        CALLBACK_OP => "callback_op",
        EVENT_CHANNEL_OP => "event_channel_op",
        PHYSDEV_OP => "physdev_op",
        _ => "",
    }
}

/// One call of a multicall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MulticallEntry {
    /// Its number.
    pub op: u64,
    /// Where its answer goes.
    pub result: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

/// Offset of [`MulticallEntry::result`].
pub const MULTICALL_RESULT: u64 = core::mem::offset_of!(MulticallEntry, result) as u64;
/// Offset of [`MulticallEntry::args`].
pub const MULTICALL_ARGS: u64 = core::mem::offset_of!(MulticallEntry, args) as u64;

/// In a count of `mmu_update` or `mmuext_op`: the call goes on, and what was done before counts.
pub const GOES_ON: u64 = 1 << 31;
