//! The spaces of guests: address spaces that show pages of regions which stay attached to the guest for as long.
//!
//! A space has two root tables over the same lower half: one shows the upper half too, which all spaces of the guest
//! share. Tables are made of pages of the guest's pool and come back to it one by one. No entry is global, and the
//! domain that takes something out of a space runs in another one; so nothing has to be flushed: to enter a space, its root is loaded.

use cloison_abi::{
    CallError,
    guest::{GUEST_MAP_PAGES, GUEST_REGIONS, GUEST_SPACES, GUEST_WORDS, GuestHalf, GuestMapEntry},
    limits::PAGE_BYTES,
};
use cloison_rules::{
    DomainSet, Frame, RegionRef,
    guest::{Attached, GuestPages, Pool, Shown, SpaceId, is_canonical, is_shared},
    memory::Run,
};
use x86_64::structures::paging::PageTableFlags as Flags;

use super::{
    frames::{Frames, ZeroedFrames},
    physical::{self, Entry},
    regions::Regions,
    space::{ADDRESS, KERNEL_SLOTS, KernelSpace, descend, index},
};

/// Entries of a table.
const ENTRIES: usize = 512;
/// What a step of hiding may take: about as much as a step of mapping. An entry that leads on counts one.
const STEP_EFFORT: usize = 256;
/// So many entries that are only looked at count one.
const GLANCES: usize = 16;

/// Links between tables: what a page allows, its own entry says.
const LINKS: Flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::USER_ACCESSIBLE);

/// What each entry says that leads to a page which is shown.
const SHOWN: Flags = Flags::PRESENT.union(Flags::USER_ACCESSIBLE);

/// The root table of a space that is there.
#[derive(Clone, Copy)]
pub struct Root(Frame);

impl Root {
    /// Its address.
    #[inline(always)]
    pub(in crate::arch) fn address(self) -> u64 {
        self.0.address()
    }

    /// Copies words that a guest finds at an address. Returns false if nothing is shown there, if they are not in one page,
    /// or if the address is none of a word.
    #[cold]
    pub(in crate::arch) fn read(self, address: u64, words: &mut [u64]) -> bool {
        let first = index(address, 0);
        if !is_canonical(address) || !address.is_multiple_of(8) || first + words.len() > ENTRIES {
            return false;
        }
        let Some(page) = self.page_at(address) else { return false };
        for (word, index) in words.iter_mut().zip(first..) {
            // SAFETY: the page is shown to the guest, so it is of an attached region, and nothing of the kernel is in it.
            *word = unsafe { physical::load_word(page, index) };
        }
        true
    }

    /// The page that is shown at an address. The kernel's own are not for users, and so not shown.
    fn page_at(self, address: u64) -> Option<Frame> {
        let mut at = self.0;
        for level in (1..=4).rev() {
            // SAFETY: a table of the space: its root, or what an entry of a table leads to.
            let entry = unsafe { Entry::of(at, index(address, level)) }.get();
            if !Flags::from_bits_truncate(entry).contains(SHOWN) {
                return None;
            }
            at = Frame::holding(entry & ADDRESS);
        }
        Some(at)
    }
}

/// The root tables of a space, by [`GuestHalf`].
#[derive(Clone, Copy)]
struct Roots([Frame; 2]);

impl Roots {
    /// There is no such space. All zeros.
    const NONE: Self = Self([Frame::new(0); 2]);

    fn both(self) -> Frame {
        self.0[GuestHalf::Both as usize]
    }

    fn are_there(self) -> bool {
        self.both() != Frame::new(0)
    }
}

/// The memory of a guest, and its spaces.
pub struct GuestSpaces {
    attached: [Option<Attached>; GUEST_REGIONS],
    /// The frame page, and the region that it is the first page of.
    frame_page: Option<(RegionRef, Frame)>,
    pool: Pool,
    roots: [Roots; GUEST_SPACES],
}

impl Regions {
    /// Attaches regions to a guest, which has no tables yet.
    ///
    /// # Errors
    /// As [`attach`](cloison_rules::region::RegionTable::attach); nothing is attached then.
    pub fn attach(
        &mut self,
        frame: RegionRef,
        attached: [Option<Attached>; GUEST_REGIONS],
        owner: DomainSet,
    ) -> Result<GuestSpaces, CallError> {
        let mut spaces = GuestSpaces::NONE;
        let page = self.attach_one(frame, owner)?.first;
        spaces.frame_page = Some((frame, page));
        for (place, new) in spaces.attached.iter_mut().zip(attached) {
            let Some(new) = new else { continue };
            if let Err(error) = self.attach_one(new.region, owner) {
                self.detach(&mut spaces);
                return Err(error);
            }
            *place = Some(new);
        }
        Ok(spaces)
    }

    /// Takes its regions from a guest, which has no tables any more.
    pub fn detach(&mut self, spaces: &mut GuestSpaces) {
        assert!(!spaces.are_there(), "a guest that has spaces loses its memory");
        let GuestSpaces { attached, frame_page, .. } = core::mem::replace(spaces, GuestSpaces::NONE);
        let attached = attached.into_iter().flatten().map(|attached| attached.region);
        for region in attached.chain(frame_page.map(|(region, _)| region)) {
            self.detach_one(region);
        }
    }

    /// The page that an entry of a map list speaks of, if the guest can have it so.
    ///
    /// # Errors
    /// As [`Shown::new`].
    pub fn shown_to_guest(
        &self,
        spaces: &GuestSpaces,
        entry: GuestMapEntry,
    ) -> Result<Option<Shown>, CallError> {
        Shown::new(entry, &spaces.attached, self)
    }

    /// Shows a page in a space of a guest, in place of what is there, as an entry of a map list says.
    ///
    /// # Errors
    /// As [`Shown::new`]; [`CallError::BadState`] if there is no such space; [`CallError::QuotaExceeded`] if a table is
    /// needed and the pool is empty.
    pub fn show_to_guest(
        &self,
        spaces: &mut GuestSpaces,
        space: SpaceId,
        page: GuestPages,
        entry: GuestMapEntry,
    ) -> Result<(), CallError> {
        let shown = self.shown_to_guest(spaces, entry)?;
        match (shown, page.first()) {
            (Some(shown), Some(page)) => spaces.show(space, page, shown),
            _ => Ok(()),
        }
    }
}

impl GuestSpaces {
    /// No memory and no spaces, all zeros.
    pub const NONE: Self = Self {
        attached: [None; GUEST_REGIONS],
        frame_page: None,
        pool: Pool::NONE,
        roots: [Roots::NONE; GUEST_SPACES],
    };

    /// Makes these pages the pool of which tables are made.
    pub fn begin(&mut self, frames: ZeroedFrames) {
        assert!(!self.are_there(), "a guest has one pool");
        self.pool = Pool::new(frames.run());
    }

    /// Ends all spaces, if there is a pool. Returns the pages of that.
    pub fn end(&mut self) -> Option<Frames> {
        if !self.are_there() {
            return None;
        }
        for roots in core::mem::replace(&mut self.roots, [Roots::NONE; GUEST_SPACES]) {
            assert_unused(roots);
        }
        let pool = core::mem::replace(&mut self.pool, Pool::NONE);
        // SAFETY: they came as frames of nobody's. No CPU uses the tables any more.
        Some(unsafe { Frames::new(pool.run()) })
    }

    /// Whether there is a pool, and so can be spaces.
    pub fn are_there(&self) -> bool {
        self.pool.run() != Run::NONE
    }

    /// Whether a region is one of those that are attached to see them.
    pub fn sees(&self, region: RegionRef) -> bool {
        self.attached.iter().flatten().any(|attached| attached.region == region)
    }

    /// Whether a region cannot lose its memory: the frame page lies in it, or there can be spaces that show it.
    pub fn needs(&self, region: RegionRef) -> bool {
        let is_frame = self.frame_page.is_some_and(|(of, _)| of == region);
        is_frame || self.are_there() && self.sees(region)
    }

    /// An entry of the map list in the frame page.
    pub fn map_entry(&self, index: usize) -> GuestMapEntry {
        assert!(index < GUEST_MAP_PAGES);
        // SAFETY: the page is memory of a region that is attached, so nothing of the kernel is in it.
        let word = |page| unsafe { physical::load_word(page, GUEST_WORDS + index) };
        GuestMapEntry(self.frame_page().map_or(0, word))
    }

    /// The frame page: memory of a region that is attached.
    pub(in crate::arch) fn frame_page(&self) -> Option<Frame> {
        self.frame_page.map(|(_, page)| page)
    }

    /// The root table by which a space is entered, if there is such a space.
    #[inline(always)]
    pub fn root(&self, space: SpaceId, half: GuestHalf) -> Option<Root> {
        let root = self.roots[space.index()].0[half as usize];
        (root != Frame::new(0)).then_some(Root(root))
    }

    /// The addresses of the root tables of a space that is there, by [`GuestHalf`].
    #[inline(always)]
    pub(in crate::arch) fn root_addresses(&self, space: SpaceId) -> [u64; 2] {
        self.roots[space.index()].0.map(Frame::address)
    }

    /// Checks that there is a space.
    ///
    /// # Errors
    /// [`CallError::BadState`].
    pub fn check(&self, space: SpaceId) -> Result<(), CallError> {
        if self.roots[space.index()].are_there() { Ok(()) } else { Err(CallError::BadState) }
    }

    /// Makes a space: the first, which owns the upper half, or one that shares that.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is there, or the first is not; [`CallError::QuotaExceeded`].
    pub fn create(&mut self, space: SpaceId, kernel: &KernelSpace) -> Result<(), CallError> {
        if self.check(space).is_ok() || (space != SpaceId::FIRST && self.check(SpaceId::FIRST).is_err()) {
            return Err(CallError::BadState);
        }
        let both = take(&mut self.pool).ok_or(CallError::QuotaExceeded)?;
        let Some(lower) = take(&mut self.pool) else {
            // SAFETY: it has not become a table.
            unsafe { give(&mut self.pool, both) };
            return Err(CallError::QuotaExceeded);
        };
        let first = self.roots[SpaceId::FIRST.index()];
        for slot in (0..ENTRIES).filter(|slot| is_shared(*slot)) {
            let is_kernels = KERNEL_SLOTS.contains(&slot);
            for root in [both, lower] {
                let from = match root {
                    _ if is_kernels => kernel.root(),
                    _ if root == both && first.are_there() => first.both(),
                    _ => continue,
                };
                // SAFETY: root tables: the kernel's or the first space's, and one that nobody uses yet.
                unsafe { Entry::of(root, slot).set(Entry::of(from, slot).get()) };
            }
        }
        self.roots[space.index()] = Roots([lower, both]);
        Ok(())
    }

    /// Ends a space, one step of it. Returns whether it has ended.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is not there, or is the first and there are others.
    pub fn destroy_step(&mut self, space: SpaceId) -> Result<bool, CallError> {
        self.check(space)?;
        let is_first = space == SpaceId::FIRST;
        if is_first && self.roots.iter().filter(|roots| roots.are_there()).count() > 1 {
            return Err(CallError::BadState);
        }
        let upper = if is_first { &GuestPages::UPPER[..] } else { &[] };
        if !upper.iter().chain([&GuestPages::LOWER]).all(|pages| self.hide_step(space, *pages).is_none()) {
            return Ok(false);
        }
        let roots = core::mem::replace(&mut self.roots[space.index()], Roots::NONE);
        assert_unused(roots);
        for root in roots.0 {
            // SAFETY: a root table of a space that has ended.
            unsafe { give(&mut self.pool, root) };
        }
        Ok(true)
    }

    /// Shows a page, in place of what is there.
    fn show(&mut self, space: SpaceId, page: u64, shown: Shown) -> Result<(), CallError> {
        self.check(space)?;
        let address = page * PAGE_BYTES;
        let slot = index(address, 4);
        // SAFETY: a root table.
        let mut link = unsafe { Entry::of(self.roots[space.index()].both(), slot) }.get();
        if link == 0 {
            let table = take(&mut self.pool).ok_or(CallError::QuotaExceeded)?;
            link = table.address() | LINKS.bits();
            self.set_link(space, slot, link);
        }
        let mut next = || take(&mut self.pool);
        // SAFETY: the tables are those of this guest, made of pages of its pool.
        let entry = unsafe { descend(Frame::holding(link & ADDRESS), 3, address, 1, &mut next, LINKS) };
        let mut flags = Flags::PRESENT | Flags::USER_ACCESSIBLE;
        flags.set(Flags::WRITABLE, shown.write());
        flags.set(Flags::NO_EXECUTE, !shown.execute());
        entry.ok_or(CallError::QuotaExceeded)?.set(shown.frame().address() | flags.bits());
        Ok(())
    }

    /// Sets an entry of the root tables that have it: both of this space, or, in the upper half, one of each.
    fn set_link(&mut self, space: SpaceId, slot: usize, link: u64) {
        let of = |roots: &Roots| match is_shared(slot) {
            true => [Some(roots.both()), None],
            false => roots.0.map(Some),
        };
        let spaces = if is_shared(slot) { 0..GUEST_SPACES } else { space.index()..space.index() + 1 };
        for root in self.roots[spaces].iter().filter(|roots| roots.are_there()).flat_map(of).flatten() {
            // SAFETY: a root table of this guest.
            unsafe { Entry::of(root, slot) }.set(link);
        }
    }

    /// Shows nothing any more in pages of a space, which is there: one step of it. Returns those that are left, if some
    /// are.
    pub fn hide_step(&mut self, space: SpaceId, mut pages: GuestPages) -> Option<GuestPages> {
        let (mut effort, from) = (0, pages.first().unwrap_or(0));
        while let Some(at) = pages.first() {
            if effort >= STEP_EFFORT {
                return Some(pages);
            }
            let (next, more) = self.hide_some(space, at, pages.end());
            effort += more + self.give_back_empty(space, from, next - 1);
            pages = pages.from(next);
        }
        None
    }

    /// Hides some pages from `at` on: what one table covers, or where there is none, up to the next one. Returns the page
    /// from which to go on, and what it has cost.
    fn hide_some(&mut self, space: SpaceId, at: u64, end: u64) -> (u64, usize) {
        let address = at * PAGE_BYTES;
        let mut table = self.roots[space.index()].both();
        let mut effort = 1;
        for level in (2..=4).rev() {
            let (first, covers) = (index(address, level), 1 << (9 * (level - 1)));
            // SAFETY: a table of this space.
            let used = unsafe { next_used(table, first) };
            effort += (used - first) / GLANCES;
            if used > first {
                return ((at & !(covers - 1)) + (used - first) as u64 * covers, effort);
            }
            // SAFETY: an entry of a table of this space.
            let entry = unsafe { Entry::of(table, first) };
            table = Frame::holding(entry.get() & ADDRESS);
            if level == 2 && at.is_multiple_of(covers) && at + covers <= end {
                entry.set(0);
                // SAFETY: nothing leads to it any more, and the next entry loads another root.
                unsafe { give(&mut self.pool, table) };
                return (at + covers, effort);
            }
        }
        let last = end.min((at | (ENTRIES as u64 - 1)) + 1);
        for page in at..last {
            // SAFETY: as above.
            unsafe { Entry::of(table, index(page * PAGE_BYTES, 1)) }.set(0);
        }
        (last, effort + (last - at) as usize / GLANCES)
    }

    /// Gives back the tables that end with the page `last` and have nothing in them; what is covered from `from` on has
    /// nothing. Returns what it has cost.
    fn give_back_empty(&mut self, space: SpaceId, from: u64, last: u64) -> usize {
        let (address, mut effort) = (last * PAGE_BYTES, 0);
        let root = self.roots[space.index()].both();
        for level in [2, 3] {
            if !(last + 1).is_multiple_of(1 << (9 * level)) {
                return effort;
            }
            // SAFETY: the tables are those of this guest.
            let link = unsafe { link_to(root, address, level) };
            let Some(link) = link.filter(|link| link.get() != 0) else { continue };
            let table = Frame::holding(link.get() & ADDRESS);
            if from > last + 1 - (1 << (9 * level)) {
                effort += ENTRIES / GLANCES;
                // SAFETY: a table of this guest.
                if unsafe { next_used(table, 0) } < ENTRIES {
                    return effort;
                }
            }
            if level == 3 {
                self.set_link(space, index(address, 4), 0);
            } else {
                link.set(0);
            }
            // SAFETY: as in `hide_some`.
            unsafe { give(&mut self.pool, table) };
        }
        effort
    }
}

/// The entry that leads to the table of `level` for an address, if there are tables down to it.
///
/// # Safety
/// As for [`descend`].
unsafe fn link_to(root: Frame, address: u64, level: u32) -> Option<Entry> {
    // SAFETY: so says the caller.
    unsafe { descend(root, 4, address, level + 1, &mut || None, LINKS) }
}

/// The first entry of a table that is not empty, from this one on; [`ENTRIES`] if there is none.
///
/// # Safety
/// As for [`Entry::of`].
unsafe fn next_used(table: Frame, first: usize) -> usize {
    // SAFETY: so says the caller.
    let is_used = |index: &usize| unsafe { Entry::of(table, *index) }.get() != 0;
    (first..ENTRIES).find(is_used).unwrap_or(ENTRIES)
}

/// Takes a page for a table out of a pool, all zero.
fn take(pool: &mut Pool) -> Option<Frame> {
    // SAFETY: a page of the pool that is no table now.
    let (page, is_used) = pool.take(|page| unsafe { physical::load_word(page, 0) })?;
    if is_used {
        // SAFETY: as above.
        unsafe { physical::zero(Run::new(page, 1)) };
    }
    Some(page)
}

/// Gives a page back to its pool.
///
/// # Safety
/// It comes from there, and is no table any more.
unsafe fn give(pool: &mut Pool, page: Frame) {
    let next = pool.give(page);
    // SAFETY: so says the caller.
    unsafe { physical::store_word(page, 0, next) };
}

fn assert_unused(roots: Roots) {
    let is_used = roots.0.into_iter().any(|root| roots.are_there() && physical::is_loaded(root));
    assert!(!is_used, "a space has ended that is in use");
}
