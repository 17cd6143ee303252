//! The virtual CPU: traps, callbacks, segments, `vcpu_op` (Xen's `arch-x86/xen.h`, `callback.h`, `vcpu.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Traps that can have a handler.
pub const TRAPS: usize = 256;

/// An entry of `set_trap_table`; one with [`Self::address`] 0 ends the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TrapInfo {
    /// Which trap.
    pub vector: u8,
    /// Bits 0 and 1: from which privilege on `int` may name it; bit 2: mask events.
    pub flags: u8,
    /// Selector of the handler.
    pub cs: u16,
    /// Not used.
    pub pad: u32,
    /// Address of the handler.
    pub address: u64,
}

/// In [`TrapInfo::flags`]: from which privilege on `int` may name it.
pub const TRAP_PRIVILEGE: u8 = 3;
/// In [`TrapInfo::flags`]: events are masked when the handler begins.
pub const TRAP_MASKS: u8 = 1 << 2;

/// What `callback_op` registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CallbackRegister {
    /// One of [`callback`].
    pub kind: u16,
    /// Bit 0: mask events.
    pub flags: u16,
    /// Not used.
    pub pad: u32,
    /// Address of the handler.
    pub address: u64,
}

/// Numbers of callbacks.
pub mod callback {
    /// `callback_op`: register.
    pub const REGISTER: u64 = 0;
    /// In [`flags`](super::CallbackRegister::flags): events are masked when the handler begins.
    pub const MASKS: u16 = 1;

    /// An event came.
    pub const EVENT: u16 = 0;
    /// A return went to where nothing can be.
    pub const FAILSAFE: u16 = 1;
    /// A user program executed `syscall`.
    pub const SYSCALL: u16 = 2;
}

/// `set_segment_base`: which base.
pub mod segment {
    /// FS.
    pub const FS: u64 = 0;
    /// GS of user programs.
    pub const GS_USER: u64 = 1;
    /// GS of the kernel.
    pub const GS_KERNEL: u64 = 2;
    /// GS of user programs, by a selector.
    pub const GS_USER_SELECTOR: u64 = 3;
}

/// Numbers of `vcpu_op`.
pub mod vcpu {
    /// Whether there is such a CPU, and whether it runs.
    pub const IS_UP: u64 = 3;
    /// Where to say how long the CPU was in which state.
    pub const REGISTER_RUNSTATE: u64 = 5;
    /// No periodic timer.
    pub const STOP_PERIODIC_TIMER: u64 = 7;
    /// The timer for one time.
    pub const SET_SINGLESHOT_TIMER: u64 = 8;
    /// Not even for one time.
    pub const STOP_SINGLESHOT_TIMER: u64 = 9;
    /// Where the CPU's information is to be from now on.
    pub const REGISTER_INFO: u64 = 10;
    /// Where to put a copy of the clock's parameters.
    pub const REGISTER_TIME: u64 = 13;
}

/// What [`vcpu::SET_SINGLESHOT_TIMER`] sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SingleShot {
    /// Nanoseconds of the guest's clock.
    pub timeout_ns: u64,
    /// Bit 0: refuse what has passed.
    pub flags: u32,
    /// Not used.
    pub pad: u32,
}

/// In [`SingleShot::flags`]: a time that has passed is refused.
pub const SINGLESHOT_FUTURE: u32 = 1;

/// What [`vcpu::REGISTER_INFO`] registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RegisterInfo {
    /// The frame.
    pub frame: u64,
    /// Offset in it.
    pub offset: u32,
    /// Not used.
    pub pad: u32,
}

/// Ways in which the hypervisor can help, for `vm_assist`.
pub mod assist {
    /// Offer it from now on.
    pub const ENABLE: u64 = 0;
    /// Offer it no more.
    pub const DISABLE: u64 = 1;
    /// Segments of 4 GiB (32-bit guests).
    pub const SEGMENTS_4GB: u64 = 0;
    /// Say when they are used.
    pub const SEGMENTS_4GB_NOTIFY: u64 = 1;
    /// Stores to page tables are carried out.
    pub const WRITABLE_PAGE_TABLES: u64 = 2;
    /// Page tables above 4 GiB (32-bit guests).
    pub const PAE_ABOVE_4GB: u64 = 3;
    /// Changes of the run state are marked while they are made.
    pub const RUNSTATE_UPDATE: u64 = 5;
}

/// What a guest returns to: on its stack when it calls `iret`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ReturnFrame {
    /// `rax`.
    pub rax: u64,
    /// `r11`.
    pub r11: u64,
    /// `rcx`.
    pub rcx: u64,
    /// Whether it is from a system call: then `rcx` and `r11` need not be as they are here.
    pub flags: u64,
    /// Where it goes on.
    pub rip: u64,
    /// Code selector.
    pub cs: u64,
    /// Flags.
    pub rflags: u64,
    /// Stack.
    pub rsp: u64,
    /// Stack selector.
    pub ss: u64,
}

/// Selector of 64-bit user code, as Linux numbers it; Xen's guests know one more.
pub const USER_CODE: u16 = 0x33;
/// The one that Xen has for it.
pub const USER_CODE_OF_XEN: u16 = 0xe033;
/// Selector of user data, as Linux numbers it.
pub const USER_DATA: u16 = 0x2b;
/// The one that Xen has for it.
pub const USER_DATA_OF_XEN: u16 = 0xe02b;
