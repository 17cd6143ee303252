//! The virtual CPU, as far as it is not in the registers: handlers, bases, control registers.

use cloison_xen::cpu::TRAPS;

use crate::saved::carried;

/// Bits of the flags register.
pub mod flag {
    /// Always set.
    pub const ALWAYS: u64 = 1 << 1;
    /// A trap after each instruction.
    pub const TRAP: u64 = 1 << 8;
    /// Interrupts are taken.
    pub const INTERRUPT: u64 = 1 << 9;
    /// Strings go downwards.
    pub const DIRECTION: u64 = 1 << 10;
    /// The privilege that I/O takes.
    pub const IO_PRIVILEGE: u64 = 3 << 12;
    /// There is a task to go back to.
    pub const NESTED: u64 = 1 << 14;
    /// No debug trap for the next instruction.
    pub const RESUME: u64 = 1 << 16;
    /// Mode of another CPU.
    pub const VIRTUAL_8086: u64 = 1 << 17;
    /// Accesses have to be aligned.
    pub const ALIGNMENT: u64 = 1 << 18;
}

/// CR4 at the start: PAE, both of SSE.
const CR4: u64 = 1 << 5 | 1 << 9 | 1 << 10;
/// CR4: the state that XSAVE saves is enabled.
pub const CR4_OSXSAVE: u64 = 1 << 18;
/// CR0: protection, write protection and paging are on, and all that goes with them.
pub const CR0: u64 = 0x8005_0033;
/// DR6 and DR7 when there is nothing to say.
const DR6: u64 = 0xffff_0ff0;
const DR7: u64 = 0x400;
/// Breakpoints of the debug registers.
pub const BREAKPOINTS: usize = 4;
/// Frames of a global descriptor table at most: 8192 entries.
pub const GDT_FRAMES: usize = 16;

/// Where a part of the guest's kernel begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handler {
    /// Its address.
    pub address: u64,
    /// Events are masked when it begins.
    pub masks: bool,
}

/// What handles a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Where; nowhere at the start.
    pub handler: Option<Handler>,
    /// The privilege from which on `int` may name it.
    pub privilege: u8,
}

impl Trap {
    /// No handler.
    pub const NONE: Self = Self { handler: None, privilege: 0 };
}

/// The state.
pub struct Cpu {
    /// What an event calls.
    pub event: Option<Handler>,
    /// What a system call calls.
    pub syscall: Option<Handler>,
    /// What traps call.
    pub traps: [Trap; TRAPS],
    /// CR4, as the guest wrote it.
    pub cr4: u64,
    /// The states that XSAVE saves, as the guest chose them.
    pub xcr0: u64,
    /// Debug registers, as the guest wrote them. The CPU's own are not touched.
    pub debug: [u64; 8],
    /// Frames of the global descriptor table.
    pub gdt: [u32; GDT_FRAMES],
    /// How many of them there are.
    pub gdt_frames: usize,
    /// It waits for an event.
    pub is_blocked: bool,
}

carried!(Handler { address, masks });
carried!(Trap { handler, privilege });
carried!(Cpu { event, syscall, traps, cr4, xcr0, debug, gdt, gdt_frames, is_blocked });

impl Cpu {
    /// Before the first instruction.
    pub const fn new() -> Self {
        Self {
            event: None,
            syscall: None,
            traps: [Trap::NONE; TRAPS],
            cr4: CR4,
            xcr0: 0,
            debug: [0, 0, 0, 0, 0, 0, DR6, DR7],
            gdt: [0; GDT_FRAMES],
            gdt_frames: 0,
            is_blocked: false,
        }
    }
}
