//! Guests: which addresses and pages their spaces may show, with which registers they may run, and of what their page
//! tables are made.

use cloison_abi::{
    CallError, Rights,
    guest::{
        GUEST_CODE_SELECTOR, GUEST_DATA_SELECTOR, GUEST_FLAGS, GUEST_LOW_END, GUEST_REGIONS, GUEST_SPACES,
        GuestMapEntry,
    },
    limits::PAGE_BYTES,
};

use crate::{Frame, RegionRef, memory::Run, region::RegionTable};

/// Pages that one entry of a root table covers.
const SLOT_PAGES: u64 = 1 << 27;
/// The first page of the upper half, and the one after its last.
const UPPER_FIRST: u64 = 256 * SLOT_PAGES;
const UPPER_END: u64 = 512 * SLOT_PAGES;
/// Addresses have 48 bits; those above repeat the last one.
const ADDRESS_BITS: u32 = 48;
/// Bytes of the lower half.
const LOWER_HALF: u64 = 1 << LOWER_BITS;
/// Bits of an address of the lower half.
pub const LOWER_BITS: u32 = ADDRESS_BITS - 1;
/// What a guest can use: the lower half but for its last page, and of the upper half what is not the kernel's.
const AREAS: [(u64, u64); 3] =
    [(0, GUEST_LOW_END / PAGE_BYTES), (UPPER_FIRST, 264 * SLOT_PAGES), (272 * SLOT_PAGES, UPPER_END)];

/// The instruction by which an interrupt's handler returns.
const IRETQ: [u8; 2] = [0x48, 0xcf];

/// Flag: the CPU traps after each instruction.
const TRAP: u64 = 1 << 8;
/// Interrupts on, and the bit that is always one.
pub const FIXED_FLAGS: u64 = 0x202;

/// Whether an address is one: its upper bits repeat bit 47.
#[must_use]
#[inline(always)]
pub fn is_canonical(address: u64) -> bool {
    are_canonical([address; 4])
}

/// Whether all four are. Above the lower half lies what is none, up to the upper half; moved up by a half, what is none has
/// bits above those of addresses.
#[inline(always)]
fn are_canonical([one, two, three, four]: [u64; 4]) -> bool {
    let moved = |address: u64| address.wrapping_add(LOWER_HALF);
    (moved(one) | moved(two) | moved(three) | moved(four)) >> ADDRESS_BITS == 0
}

/// Number of a space of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceId(u8);

impl SpaceId {
    /// The space that owns the upper half.
    pub const FIRST: Self = Self(0);

    /// The space with this number.
    ///
    /// # Errors
    /// [`CallError::BadArgument`].
    pub fn new(number: u64) -> Result<Self, CallError> {
        Self::find(number).ok_or(CallError::BadArgument)
    }

    /// The space with this number, if there can be one. (For the call that comes most often: a result would be packed into
    /// a register, and taken apart again.)
    #[must_use]
    #[inline(always)]
    pub fn find(number: u64) -> Option<Self> {
        (number < GUEST_SPACES as u64).then_some(Self(number as u8))
    }

    /// The number.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) % GUEST_SPACES
    }
}

/// Pages in a row that a guest can see, by bits 12 to 47 of their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestPages {
    first: u64,
    end: u64,
}

impl GuestPages {
    /// All of the lower half. Nothing is ever shown in its last page.
    pub const LOWER: Self = Self { first: 0, end: UPPER_FIRST };
    /// All of the upper half that is a guest's.
    pub const UPPER: [Self; 2] =
        [Self { first: AREAS[1].0, end: AREAS[1].1 }, Self { first: AREAS[2].0, end: AREAS[2].1 }];

    /// This many pages from an address on, of a space.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if not all of them are a guest's, or they are of the upper half and the space does not
    /// own that.
    pub fn new(space: SpaceId, address: u64, pages: u64) -> Result<Self, CallError> {
        let first = (address & ((1 << ADDRESS_BITS) - 1)) / PAGE_BYTES;
        let end = first.checked_add(pages).ok_or(CallError::BadArgument)?;
        let fits = AREAS.iter().any(|(from, to)| *from <= first && end <= *to);
        let is_owned = first < UPPER_FIRST || space == SpaceId::FIRST;
        if !is_canonical(address) || !address.is_multiple_of(PAGE_BYTES) || pages == 0 || !fits || !is_owned {
            return Err(CallError::BadArgument);
        }
        // With the page that is never shown, the last table is covered as a whole.
        Ok(Self { first, end: if end == AREAS[0].1 { UPPER_FIRST } else { end } })
    }

    /// The first one; none if there are none.
    #[must_use]
    pub fn first(self) -> Option<u64> {
        (self.first < self.end).then_some(self.first)
    }

    /// The one after the last.
    #[must_use]
    pub fn end(self) -> u64 {
        self.end
    }

    /// Those from this one on.
    #[must_use]
    pub fn from(self, first: u64) -> Self {
        Self { first, ..self }
    }

    /// Those after the first one.
    #[must_use]
    pub fn without_first(self) -> Self {
        self.from(self.first + 1)
    }

    /// The address of the first one, and how many there are: with these, [`GuestPages::new`] gives the same.
    #[must_use]
    pub fn to_arguments(self) -> (u64, u64) {
        let unused = u64::BITS - ADDRESS_BITS;
        let address = ((self.first * PAGE_BYTES) << unused) as i64 >> unused;
        let end = if self.end == UPPER_FIRST { AREAS[0].1 } else { self.end };
        (address as u64, end.saturating_sub(self.first))
    }
}

/// Whether an entry of a root table is for the upper half, which all spaces share.
#[must_use]
pub fn is_shared(slot: usize) -> bool {
    slot as u64 >= UPPER_FIRST / SLOT_PAGES
}

/// A region that the spaces of a guest can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Which.
    pub region: RegionRef,
    /// What the guest may be let do there, beside to execute it: to read, or to read and write.
    pub rights: Rights,
}

/// A page of memory that a guest may see, checked: see [`Shown::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    frame: Frame,
    write: bool,
    execute: bool,
}

impl Shown {
    /// What an entry of a map list asks for; none if that is to leave all as it is.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] for a region that is not attached, a page that it does not have, and bits that mean
    /// nothing; [`CallError::MissingRight`] to write where the guest may not.
    pub fn new(
        GuestMapEntry(entry): GuestMapEntry,
        attached: &[Option<Attached>; GUEST_REGIONS],
        regions: &RegionTable,
    ) -> Result<Option<Self>, CallError> {
        if entry == GuestMapEntry::SKIP.0 {
            return Ok(None);
        }
        let (page, number) = (entry & 0xffff_ffff, entry >> GuestMapEntry::REGION_SHIFT & 0xf);
        let (write, execute) = (entry & GuestMapEntry::WRITE != 0, entry & GuestMapEntry::EXECUTE != 0);
        let of = attached.get(number as usize).copied().flatten().ok_or(CallError::BadArgument)?;
        let region = regions.get(of.region)?;
        if entry >= GuestMapEntry::SKIP.0 || page >= region.pages().into() {
            return Err(CallError::BadArgument);
        }
        // It may have no memory just now, or not be zeroed yet.
        if !region.is_clean() {
            return Err(CallError::BadState);
        }
        if write && !of.rights.contains(Rights::WRITE) {
            return Err(CallError::MissingRight);
        }
        Ok(Some(Self { frame: region.run().first.after(page), write, execute }))
    }

    /// The page.
    #[must_use]
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// Whether the guest may write to it.
    #[must_use]
    pub fn write(&self) -> bool {
        self.write
    }

    /// Whether the guest may execute it.
    #[must_use]
    pub fn execute(&self) -> bool {
        self.execute
    }
}

/// The flags with which a guest goes on, from those that somebody has chosen: what is not a guest's to choose is set as it
/// has to be. `addresses` are the next instruction and the segment bases.
///
/// # Errors
/// [`CallError::BadArgument`] if one of these is no address: the way out of the kernel would fault.
#[inline(always)]
pub fn checked_flags(addresses: [u64; 4], flags: u64) -> Result<u64, CallError> {
    if !are_canonical(addresses) {
        return Err(CallError::BadArgument);
    }
    Ok(flags & GUEST_FLAGS | FIXED_FLAGS)
}

/// Whether a guest's next instruction is `iretq`, from the two words of which the first holds its first byte.
#[must_use]
pub fn is_return([low, high]: [u64; 2], rip: u64) -> bool {
    let bits = 8 * (rip % 8) as u32;
    let code = low >> bits | high << 1 << (63 - bits);
    (code as u16).to_le_bytes() == IRETQ
}

/// Where a guest goes on after an `iretq`, from the five words that this finds on its stack: `rip`, `rflags` and `rsp`. None
/// if that is not where the guest runs now, in its segments, so that the CPU would fault; and none if the flags that the guest
/// has before it say that it is stepped over, so that the CPU would trap behind it.
#[must_use]
#[inline(always)]
pub fn checked_return([rip, code, rflags, rsp, data]: [u64; 5], before: u64) -> Option<[u64; 3]> {
    if before & TRAP != 0 {
        return None;
    }
    let stays = code == GUEST_CODE_SELECTOR.into() && data == GUEST_DATA_SELECTOR.into();
    (stays && is_canonical(rip)).then_some([rip, rflags & GUEST_FLAGS | FIXED_FLAGS, rsp])
}

/// What of a segment register is kept while a guest does not run: the selector of its data, else none.
#[must_use]
pub fn kept_selector(selector: u16) -> u16 {
    if selector == GUEST_DATA_SELECTOR { selector } else { 0 }
}

/// Pages of which page tables are made, and which come back one by one. Those that have come back are a list: the first
/// word of each says which one comes next.
#[derive(Debug)]
pub struct Pool {
    run: Run,
    /// The first page that was never taken.
    next: Frame,
    /// The first of those that have come back; number 0, which is no page of memory, if there are none.
    free: Frame,
}

impl Pool {
    /// No pages, all zeros.
    pub const NONE: Self = Self { run: Run::NONE, next: Frame::new(0), free: Frame::new(0) };

    /// Of these pages.
    #[must_use]
    pub fn new(run: Run) -> Self {
        Self { run, next: run.first, free: Frame::new(0) }
    }

    /// The pages.
    #[must_use]
    pub fn run(&self) -> Run {
        self.run
    }

    /// Takes a page, and says whether it has been used before. `first_word` reads that of a page.
    pub fn take(&mut self, first_word: impl FnOnce(Frame) -> u64) -> Option<(Frame, bool)> {
        if self.free != Frame::new(0) {
            let page = self.free;
            self.free = Frame::new(first_word(page));
            return Some((page, true));
        }
        let page = self.next;
        (page < self.run.end).then(|| {
            self.next = page.after(1);
            (page, false)
        })
    }

    /// Takes a page back. Returns what its first word has to be from now on.
    pub fn give(&mut self, page: Frame) -> u64 {
        core::mem::replace(&mut self.free, page).number()
    }
}

#[cfg(test)]
mod tests;
