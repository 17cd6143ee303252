//! What the CPU holds for a guest while the guest does not run.

use core::mem::offset_of;

use cloison_abi::{
    CallError,
    guest::{GUEST_CODE_SELECTOR, GUEST_DATA_SELECTOR, GuestHalf, GuestRegisters},
};
use cloison_rules::guest::{Shown, SpaceId, checked_flags, checked_return, is_canonical, is_return};

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
const _: () = assert!(
    offset_of!(Segments, half) == offset_of!(GuestRegisters, half) - offset_of!(GuestRegisters, fs_base)
        && offset_of!(Segments, other_gs_base) == 16,
    "and so do the segments, after that"
);
const _: () =
    assert!(offset_of!(GuestContext, context) == 0, "the entry code finds the one where the other is");

/// The registers of a guest, and where it runs. The entry code finds it where the context is, which comes first.
#[repr(C)]
pub struct GuestContext {
    /// It is always as that of one that was interrupted.
    pub(super) context: Context,
    pub(super) segments: Segments,
    pub(super) switch: Switch,
    space: SpaceId,
}

/// What the entry code needs to switch the halves of a guest by itself: see [`cloison_abi::guest::GuestSwitch`].
#[repr(C)]
pub(super) struct Switch {
    /// The interrupt frame by which it returns to the lower half: `rip`, `cs`, `rflags`, `rsp`, `ss`.
    pub(super) frame: [u64; 5],
    /// Registers that it uses meanwhile.
    pub(super) kept: [u64; 3],
    /// Addresses of the root tables of the space, by [`GuestHalf`].
    pub(super) roots: [u64; 2],
    /// Whether it may.
    pub(super) is_open: u64,
    /// Address of the page of words; 0 until there is one.
    pub(super) words: u64,
    /// A bit for each number whose call, with both halves, leads to [`Switch::back`].
    pub(super) numbers: u64,
    /// Where it goes on after a call of the lower half.
    pub(super) call: u64,
    /// Where it goes on after a call with both halves and one of the numbers.
    pub(super) back: u64,
    /// Behind which call it returns to the lower half.
    pub(super) site: u64,
}

impl Switch {
    const NONE: Self = Self {
        frame: [0; 5],
        kept: [0; 3],
        roots: [0; 2],
        is_open: 0,
        words: 0,
        numbers: 0,
        call: 0,
        back: 0,
        site: 0,
    };
}

/// What a guest has set of its segment registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Segments {
    pub(super) fs_base: u64,
    pub(super) gs_base: u64,
    pub(super) other_gs_base: u64,
    /// The [`GuestHalf`] that it sees.
    pub(super) half: u64,
    /// Of `ds`, `es`, `fs`, `gs`.
    pub(super) selectors: [u16; 4],
}

impl GuestContext {
    /// That of no guest, all zeros.
    pub const EMPTY: Self = Self {
        context: Context::EMPTY,
        segments: Segments { fs_base: 0, gs_base: 0, other_gs_base: 0, half: 0, selectors: [0; 4] },
        switch: Switch::NONE,
        space: SpaceId::FIRST,
    };

    /// Makes this the context of a guest before its first instruction.
    pub fn begin(&mut self) {
        *self = Self::EMPTY;
        self.context.vectors = VectorState::INITIAL;
        self.switch.frame = [0, GUEST_CODE_SELECTOR.into(), 0, 0, GUEST_DATA_SELECTOR.into()];
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
        // with as many registers, and what lies there has room for three bases and a half; any words will do for either.
        unsafe {
            physical::copy_from_page::<COMMON>(page, 0, (&raw mut *context).cast());
            physical::copy_from_page::<4>(page, COMMON, (&raw mut *segments).cast());
        }
        let addresses = [context.rip, segments.fs_base, segments.gs_base, segments.other_gs_base];
        context.rflags = checked_flags(addresses, context.rflags)?;
        context.interrupted = 1;
        segments.half = half as u64;
        self.space = space;
        Ok(())
    }

    /// From now on the kernel can switch the halves of this guest: words in a page, and three addresses and numbers that
    /// say which calls lead where.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if the guest could not go on there: the way out of the kernel would fault.
    /// [`CallError::MissingRight`] if the guest cannot write to the page.
    pub fn lead(&mut self, page: Shown, [call, back, site]: [u64; 3], numbers: u64) -> Result<(), CallError> {
        if !is_canonical(call) || !is_canonical(back) {
            return Err(CallError::BadArgument);
        }
        if !page.write() {
            return Err(CallError::MissingRight);
        }
        let words = physical::direct(page.frame().address());
        self.switch = Switch { words, numbers, call, back, site, ..self.switch };
        Ok(())
    }

    /// Lets the kernel switch halves until the guest comes out, or keeps it from that. The guest is in its space already.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if it is to and cannot, because nobody has said where to.
    #[inline(always)]
    pub fn open(&mut self, spaces: &GuestSpaces, is_open: bool) -> Result<(), CallError> {
        self.switch.is_open = 0;
        if is_open {
            if self.switch.words == 0 {
                return Err(CallError::BadArgument);
            }
            self.switch.is_open = 1;
            self.switch.roots = spaces.root_addresses(self.space);
        }
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
            physical::copy_to_page::<4>((&raw const *segments).cast(), page, COMMON);
        }
    }

    /// Carries out the guest's next instruction, if it is an `iretq` by which the guest stays where it runs, and not stepped
    /// over. Returns whether it was one. What the guest wrote is copied, and the copy is checked.
    pub fn carry_out_return(&mut self, spaces: &GuestSpaces) -> bool {
        let (space, half) = self.place();
        let Some(root) = spaces.root(space, half) else { return false };
        let (context, mut code, mut frame) = (&mut self.context, [0; 2], [0; 5]);
        let is_one = root.read(context.rip & !7, &mut code) && is_return(code, context.rip);
        if !is_one || !root.read(context.rsp, &mut frame) {
            return false;
        }
        let Some([rip, rflags, rsp]) = checked_return(frame, context.rflags) else { return false };
        (context.rip, context.rflags, context.rsp) = (rip, rflags, rsp);
        true
    }

    /// Whether it has set none of its segment registers but for their bases.
    #[inline(always)]
    pub fn has_no_selectors(&self) -> bool {
        self.segments.selectors == [0; 4]
    }

    /// Where it runs.
    pub fn place(&self) -> (SpaceId, GuestHalf) {
        (self.space, GuestHalf::from_number(self.segments.half).unwrap_or(GuestHalf::Lower))
    }
}
