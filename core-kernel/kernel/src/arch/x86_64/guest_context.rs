//! What the CPU holds for a guest while the guest does not run.

use core::mem::offset_of;

use cloison_abi::{
    CallError,
    guest::{GuestHalf, GuestRegisters},
};
use cloison_rules::guest::{SpaceId, checked_flags};

use super::{
    context::{Context, VectorState},
    physical,
};
use crate::arch::guest::GuestSpaces;

/// Words of the registers that a context has as a frame page does.
const COMMON: usize = offset_of!(GuestRegisters, fs_base) / 8;

const _: () = assert!(
    offset_of!(Context, rdi) == offset_of!(GuestRegisters, rdi)
        && offset_of!(Context, r15) == offset_of!(GuestRegisters, r15)
        && offset_of!(Context, rflags) == offset_of!(GuestRegisters, rflags)
        && offset_of!(Context, rflags) == 8 * (COMMON - 1),
    "a context begins as a frame page does"
);

/// The registers of a guest, and where it runs.
pub struct GuestContext {
    /// It is always as that of one that was interrupted.
    pub(super) context: Context,
    pub(super) segments: Segments,
    space: SpaceId,
    half: GuestHalf,
}

/// What a guest has set of its segment registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Segments {
    pub(super) fs_base: u64,
    pub(super) gs_base: u64,
    /// Of `ds`, `es`, `fs`, `gs`.
    pub(super) selectors: [u16; 4],
}

impl GuestContext {
    /// That of no guest, all zeros.
    pub const EMPTY: Self = Self {
        context: Context::EMPTY,
        segments: Segments { fs_base: 0, gs_base: 0, selectors: [0; 4] },
        space: SpaceId::FIRST,
        half: GuestHalf::Lower,
    };

    /// Makes this the context of a guest before its first instruction.
    pub fn begin(&mut self) {
        *self = Self::EMPTY;
        self.context.vectors = VectorState::INITIAL;
    }

    /// Lets the guest go on with the registers in its frame page, and with its vector registers as they were. They are
    /// copied first, and the copy is checked.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if nothing can run with them.
    #[inline(always)]
    pub fn load(&mut self, spaces: &GuestSpaces, space: SpaceId, half: GuestHalf) -> Result<(), CallError> {
        let Some(page) = spaces.frame_page() else { return Err(CallError::BadState) };
        let Self { context, segments, .. } = self;
        // SAFETY: the page is memory of a region that is attached, so nothing of the kernel is in it. A context begins
        // with as many registers, and what lies there has room for two bases; any words will do for either.
        unsafe {
            physical::copy_from_page::<COMMON>(page, 0, (&raw mut *context).cast());
            physical::copy_from_page::<2>(page, COMMON, (&raw mut *segments).cast());
        }
        let addresses = [context.rip, segments.fs_base, segments.gs_base];
        context.rflags = checked_flags(addresses, context.rflags)?;
        context.interrupted = 1;
        (self.space, self.half) = (space, half);
        Ok(())
    }

    /// Puts the registers that it had when it came out into its frame page.
    #[inline(always)]
    pub fn store(&self, spaces: &GuestSpaces) {
        let Some(page) = spaces.frame_page() else { return };
        let Self { context, segments, .. } = self;
        // SAFETY: as for `load`.
        unsafe {
            physical::copy_to_page::<COMMON>((&raw const *context).cast(), page, 0);
            physical::copy_to_page::<2>((&raw const *segments).cast(), page, COMMON);
        }
    }

    /// Whether it has set none of its segment registers but for their bases.
    #[inline(always)]
    pub fn has_no_selectors(&self) -> bool {
        self.segments.selectors == [0; 4]
    }

    /// Where it runs.
    pub fn place(&self) -> (SpaceId, GuestHalf) {
        (self.space, self.half)
    }
}
