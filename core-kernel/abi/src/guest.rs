//! Guests: registers and address spaces beside those of a domain, for code that the kernel answers no call of.
//!
//! A domain that has been given a guest enters it with [`GuestEnter`](crate::CallNumber::GuestEnter) and comes back with
//! the reason. The guest runs in ring 3, in one of its spaces. A space shows pages of the regions that the builder
//! attached to the guest, and nothing else.
//!
//! What does not fit into registers lies in the *frame page*: a page of a region that the kernel knows from the guest's
//! making on and that can neither move nor end before the guest does. So no pointer is followed here either.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Guests that can exist at one time.
pub const MAX_GUESTS: usize = 4;
/// Spaces of one guest.
pub const GUEST_SPACES: usize = 32;
/// Regions that can be attached to one guest.
pub const GUEST_REGIONS: usize = 4;
/// Pages that one [`GuestMap`](crate::CallNumber::GuestMap) shows at most.
pub const GUEST_MAP_PAGES: usize = 64;
/// First address above what a guest may use of the lower half: its last page stays unmapped, or a system call at its
/// end would have a return address that is none (`sysret` with it faults in ring 0 on Intel CPUs).
pub const GUEST_LOW_END: u64 = 0x7fff_ffff_f000;
/// First address of the upper half. Of that, a guest can use what the kernel leaves: PML4 slots 256 to 263 and 272 to 511.
pub const UPPER_HALF: u64 = 0xffff_8000_0000_0000;
/// Flags that are the guest's own: carry, parity, adjust, zero, sign, trap, direction, overflow, resume, alignment check,
/// identification.
pub const GUEST_FLAGS: u64 = 0x25_0dd5;
/// The code segment in which a guest runs.
pub const GUEST_CODE_SELECTOR: u16 = 0x33;
/// Its data segment: the one value but 0 that its segment registers keep when it comes out.
pub const GUEST_DATA_SELECTOR: u16 = 0x2b;

/// The frame page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GuestFrame {
    /// What the guest goes on with, and what it had when it came out.
    pub registers: GuestRegisters,
    /// What [`GuestMap`](crate::CallNumber::GuestMap) reads: one for each page, in the order of addresses.
    pub entries: [GuestMapEntry; GUEST_MAP_PAGES],
}

/// The registers of a guest. Vector registers are not here: the kernel keeps them, for a domain could make up a state
/// that faults when it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GuestRegisters {
    /// `rax`.
    pub rax: u64,
    /// `rcx`.
    pub rcx: u64,
    /// `rdx`.
    pub rdx: u64,
    /// `rbx`.
    pub rbx: u64,
    /// `rsp`.
    pub rsp: u64,
    /// `rbp`.
    pub rbp: u64,
    /// `rsi`.
    pub rsi: u64,
    /// `rdi`.
    pub rdi: u64,
    /// `r8`.
    pub r8: u64,
    /// `r9`.
    pub r9: u64,
    /// `r10`.
    pub r10: u64,
    /// `r11`.
    pub r11: u64,
    /// `r12`.
    pub r12: u64,
    /// `r13`.
    pub r13: u64,
    /// `r14`.
    pub r14: u64,
    /// `r15`.
    pub r15: u64,
    /// Address of the next instruction.
    pub rip: u64,
    /// Flags. Those of [`GUEST_FLAGS`] are the guest's; while it runs, the interrupt flag is set and all others are clear.
    pub rflags: u64,
    /// Base of the FS segment.
    pub fs_base: u64,
    /// Base of the GS segment.
    pub gs_base: u64,
    /// Base of the GS segment in the other half: when the kernel switches halves, it exchanges the two.
    pub other_gs_base: u64,
    /// The [`GuestHalf`] that it saw when it came out. What it goes on with, the call says.
    pub half: u64,
}

/// Words of [`GuestRegisters`].
pub const GUEST_WORDS: usize = size_of::<GuestRegisters>() / 8;

const _: () =
    assert!(core::mem::offset_of!(GuestFrame, registers) == 0, "the registers come first in the page");

impl GuestRegisters {
    /// The registers, from the words that they are in the page.
    #[must_use]
    #[inline]
    pub fn from_words(words: [u64; GUEST_WORDS]) -> Self {
        zerocopy::transmute!(words)
    }

    /// The words that they are in the page.
    #[must_use]
    #[inline]
    pub fn to_words(self) -> [u64; GUEST_WORDS] {
        zerocopy::transmute!(self)
    }
}

/// A page to show: bits 0–31 page of the region, 32–35 which of the attached regions, then
/// [`WRITE`](Self::WRITE), [`EXECUTE`](Self::EXECUTE), [`SKIP`](Self::SKIP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct GuestMapEntry(pub u64);

impl GuestMapEntry {
    /// The guest may write to the page.
    pub const WRITE: u64 = 1 << 36;
    /// The guest may execute it. Write and execute can go together: what runs in a guest has no authority to protect.
    pub const EXECUTE: u64 = 1 << 37;
    /// Leave the page at this address as it is.
    pub const SKIP: Self = Self(1 << 38);
    /// Where the number of the region is.
    pub const REGION_SHIFT: u32 = 32;
    /// How many bits that number has.
    pub const REGION_BITS: u32 = 4;

    /// Shows `page` of the attached region with this number: to read it, until [`WRITE`](Self::WRITE) and
    /// [`EXECUTE`](Self::EXECUTE) are added.
    #[must_use]
    pub const fn new(region: u8, page: u32) -> Self {
        let region = region as u64 & ((1 << Self::REGION_BITS) - 1);
        Self(page as u64 | region << Self::REGION_SHIFT)
    }
}

/// Why a guest came out: the outcome of [`GuestEnter`](crate::CallNumber::GuestEnter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum GuestExit {
    /// It executed `syscall`. `rip` is the instruction after that; `rcx` and `r11` are as the instruction left them, with
    /// the address and the flags.
    Call = 0,
    /// It raised an exception: label its vector, result 0 the error code, 1 the address (page faults, else 0). `rip` is
    /// the instruction that faulted, or the one after a trap.
    Trap = 1,
    /// Events of the mask are pending: result 0 has them; they are cleared.
    Events = 2,
    /// The deadline has passed.
    Deadline = 3,
}

impl GuestExit {
    /// Every exit, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Call, Self::Trap, Self::Events, Self::Deadline];

    /// The exit with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// In place of "make" in [`GuestSpace`](crate::CallNumber::GuestSpace).
pub const SPACE_CREATE: u64 = 0;
/// See [`SPACE_CREATE`]: end it.
pub const SPACE_DESTROY: u64 = 1;

/// See [`SPACE_CREATE`]: let the kernel switch halves for the guest, as [`GuestSwitch`] says.
pub const SPACE_SWITCH: u64 = 2;
/// Added to the half with which a guest is entered: the kernel switches halves by itself.
pub const GUEST_SWITCHES: u64 = 1 << 8;

/// What a guest's kernel and the machine's tell each other when the latter switches halves, in a page of the guest's memory.
///
/// Three kinds of `syscall` do not bring a guest out then: one with the lower half goes on with both at one address; one
/// with both and one of certain numbers in `eax` goes on at another; one with both from a certain place goes on with the lower
/// half, with the registers below. Whatever else they say, the flags are those of [`GUEST_FLAGS`], and an `rip` that no
/// program of the lower half can have brings the guest out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GuestSwitch {
    /// The instruction after the `syscall` of the lower half, or the one to go on with there.
    pub rip: u64,
    /// Its flags.
    pub rflags: u64,
    /// Its stack, to go on with.
    pub rsp: u64,
    /// Its `rcx`, to go on with.
    pub rcx: u64,
    /// Its `r11`, to go on with.
    pub r11: u64,
    /// The instruction after the `syscall` of both halves with one of the numbers.
    pub caller: u64,
}

/// Which addresses a guest sees while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum GuestHalf {
    /// The lower half of the space alone: its user programs.
    Lower = 0,
    /// The lower half and the upper one, which all spaces of the guest share: its kernel.
    Both = 1,
}

impl GuestHalf {
    /// The half with this number.
    #[must_use]
    #[inline(always)]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Lower),
            1 => Some(Self::Both),
            _ => None,
        }
    }
}
