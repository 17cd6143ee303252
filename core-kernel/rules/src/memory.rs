//! Physical memory: runs of pages, which of them are free, and how the kernel maps them.

use core::iter;

use cloison_abi::{CallError, limits::PAGE_BYTES};
use heapless::Vec;

use crate::refs::Frame;

/// Runs of memory that are told apart; more than this many are left unused.
pub const MAX_RUNS: usize = 64;
/// Memory below this address is left alone, but for a system image that the boot loader has put there:
/// firmware and its tables live there, and the start of other CPUs.
pub const LOW_MEMORY_END: u64 = 0x10_0000;
/// First address that the boot code does not map.
pub const BOOT_MAPPED_END: u64 = 4 << 30;
/// Pages that one entry of a page directory covers.
pub const LARGE_PAGES: u64 = (2 << 20) / PAGE_BYTES;

/// A run of pages of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first page.
    pub first: Frame,
    /// The one after the last.
    pub end: Frame,
}

impl Run {
    /// No pages.
    pub const NONE: Self = Self { first: Frame::new(0), end: Frame::new(0) };

    /// This many pages from `first` on.
    #[must_use]
    pub const fn new(first: Frame, pages: u64) -> Self {
        Self { first, end: first.after(pages) }
    }

    /// The pages that a range of bytes touches.
    #[must_use]
    pub fn around(start: u64, end: u64) -> Self {
        Self { first: Frame::holding(start), end: Frame::new(end.div_ceil(PAGE_BYTES)) }
    }

    /// The pages that lie in a range of bytes as a whole.
    #[must_use]
    pub fn within(start: u64, end: u64) -> Self {
        Self { first: Frame::new(start.div_ceil(PAGE_BYTES)), end: Frame::holding(end) }
    }

    /// The pages of an area of memory that can be handed out.
    #[must_use]
    pub fn usable(start: u64, end: u64) -> Option<Self> {
        let run = Self::within(start.max(LOW_MEMORY_END), end);
        (run.pages() > 0).then_some(run)
    }

    /// How many pages.
    #[must_use]
    pub fn pages(self) -> u64 {
        self.end.number().saturating_sub(self.first.number())
    }

    /// Each of the pages.
    pub fn frames(self) -> impl Iterator<Item = Frame> {
        (self.first.number()..self.end.number()).map(Frame::new)
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.end <= self.end
    }

    /// Whether two runs share a page.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first < other.end && other.first < self.end
    }

    /// How the kernel maps the run, a page table at a time: by a large page where a whole one lies in the run and
    /// `fine` does not ask for single pages there, else page by page.
    pub fn pieces(self, fine: impl Fn(Self) -> bool) -> impl Iterator<Item = Piece> {
        let mut next = self.first;
        iter::from_fn(move || {
            let page = next;
            let whole = Self::new(page, LARGE_PAGES);
            let large = page.number().is_multiple_of(LARGE_PAGES) && whole.end <= self.end && !fine(whole);
            next = self.end.min(Frame::new((page.number() / LARGE_PAGES + 1) * LARGE_PAGES));
            (page < self.end).then_some(Piece { pages: Self { first: page, end: next }, large })
        })
    }
}

/// Pages that the kernel maps in one page table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The pages.
    pub pages: Run,
    /// Whether one large page covers them.
    pub large: bool,
}

/// Adds a run of memory, joined to the last one if it goes on where that ends, as the many small areas of UEFI
/// machines do.
pub fn add_run(memory: &mut Vec<Run, MAX_RUNS>, run: Run) {
    match memory.last_mut() {
        Some(last) if last.end == run.first => last.end = run.end,
        // More runs than there is room for: the rest of the memory is not used.
        _ => {
            let _ = memory.push(run);
        }
    }
}

/// What is left of `runs` without `taken`. Without room, memory is left out.
#[must_use]
pub fn without(runs: &[Run], taken: &[Run]) -> Vec<Run, MAX_RUNS> {
    let mut left = Vec::new();
    for run in runs {
        let mut first = run.first;
        while first < run.end {
            if let Some(taken) = taken.iter().find(|run| run.first <= first && first < run.end) {
                first = taken.end;
                continue;
            }
            let next = taken.iter().map(|run| run.first).filter(|start| *start > first).min();
            let end = run.end.min(next.unwrap_or(run.end));
            let _ = left.push(Run { first, end });
            first = end;
        }
    }
    left
}

/// Runs of memory that nobody uses yet.
pub struct FreeRuns {
    runs: Vec<Run, MAX_RUNS>,
}

impl FreeRuns {
    /// All memory but what is in use.
    #[must_use]
    pub fn new(memory: &[Run], used: &[Run]) -> Self {
        Self { runs: without(memory, used) }
    }

    /// Takes pages from the end of the last run that has as many where the boot code maps them.
    pub fn take(&mut self, pages: u64) -> Option<Run> {
        const MAPPED: Frame = Frame::holding(BOOT_MAPPED_END);
        let fits = |run: &&mut Run| run.pages() >= pages && run.end <= MAPPED;
        let run = self.runs.iter_mut().rev().find(fits)?;
        run.end = Frame::new(run.end.number() - pages);
        Some(Run::new(run.end, pages))
    }

    /// Takes the largest run as a whole.
    pub fn take_largest(&mut self) -> Option<Run> {
        let run = self.runs.iter_mut().max_by_key(|run| run.pages()).filter(|run| run.pages() > 0)?;
        Some(core::mem::replace(run, Run::NONE))
    }

    /// What is left.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }
}

/// Why the system image cannot be used where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPlace {
    /// It ends before it begins, or has no bytes.
    Empty,
    /// It does not begin at a page.
    Unaligned,
    /// It ends above what the boot code maps.
    High,
    /// It shares pages with the kernel.
    OnKernel,
}

impl core::fmt::Display for BadPlace {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(match self {
            Self::Empty => "it has no bytes",
            Self::Unaligned => "it does not begin at a page",
            Self::High => "it has to end below 4 GiB",
            Self::OnKernel => "it shares memory with the kernel",
        })
    }
}

/// The pages of a system image whose bytes lie from `start` to `end`, if the kernel can use it there: anywhere
/// below 4 GiB, from the first page of all on.
///
/// # Errors
/// [`BadPlace`].
pub fn image_place(start: u64, end: u64, kernel: Run) -> Result<Run, BadPlace> {
    let image = Run::around(start, end);
    match image {
        _ if end <= start => Err(BadPlace::Empty),
        _ if !start.is_multiple_of(PAGE_BYTES) => Err(BadPlace::Unaligned),
        _ if end > BOOT_MAPPED_END => Err(BadPlace::High),
        _ if image.overlaps(kernel) => Err(BadPlace::OnKernel),
        _ => Ok(image),
    }
}

/// Checks that pages can be those of a device that a domain drives: nothing that is `taken` (memory, the
/// system image, the interrupt controllers), and nothing below 1 MiB, where firmware is.
///
/// # Errors
/// [`CallError::BadArgument`].
pub fn check_device(pages: Run, mut taken: impl Iterator<Item = Run>) -> Result<(), CallError> {
    let low = pages.first < Frame::holding(LOW_MEMORY_END);
    if low || pages.pages() == 0 || taken.any(|run| run.overlaps(pages)) {
        return Err(CallError::BadArgument);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use std::{collections::BTreeSet, vec::Vec};

    use super::*;

    fn run(first: u64, end: u64) -> Run {
        Run { first: Frame::new(first), end: Frame::new(end) }
    }

    fn pages(runs: &[Run]) -> BTreeSet<Frame> {
        runs.iter().flat_map(|run| run.frames()).collect()
    }

    #[test]
    fn low_memory_is_never_handed_out() {
        assert_eq!(Run::usable(0, 0x9_f000), None);
        assert_eq!(Run::usable(0, 0x20_0000), Some(run(0x100, 0x200)));
        assert_eq!(Run::usable(0x10_0001, 0x10_2fff), Some(run(0x101, 0x102)));
        assert_eq!(Run::usable(0x20_0000, 0x10_0000), None);
    }

    #[test]
    fn small_areas_become_one_run() {
        let mut memory = heapless::Vec::new();
        [run(1, 2), run(2, 5), run(6, 7)].into_iter().for_each(|run| add_run(&mut memory, run));
        assert_eq!(memory.as_slice(), [run(1, 5), run(6, 7)]);
    }

    #[test]
    fn an_image_may_lie_anywhere_below_4_gib() {
        let kernel = run(0x100, 0x180);
        assert_eq!(image_place(0, 0x68000, kernel), Ok(run(0, 0x68)));
        assert_eq!(image_place(0x18_0000, 0x18_0001, kernel), Ok(run(0x180, 0x181)));
        assert_eq!(image_place(0xffff_f000, 1 << 32, kernel), Ok(run(0xf_ffff, 0x10_0000)));
        assert_eq!(image_place(0xffff_f000, (1 << 32) + 1, kernel), Err(BadPlace::High));
        assert_eq!(image_place(u64::MAX - 0xfff, u64::MAX, kernel), Err(BadPlace::High));
        assert_eq!(image_place(0x1000, 0x1000, kernel), Err(BadPlace::Empty));
        assert_eq!(image_place(0x2000, 0x1000, kernel), Err(BadPlace::Empty));
        assert_eq!(image_place(0x200, 0x1000, kernel), Err(BadPlace::Unaligned));
        assert_eq!(image_place(0xf_f000, 0x10_0001, kernel), Err(BadPlace::OnKernel));
        assert_eq!(std::format!("{}", BadPlace::High), "it has to end below 4 GiB");
    }

    #[test]
    fn memory_firmware_and_controllers_are_no_devices() {
        let taken = [run(0x100, 0x8000), run(0xfec00, 0xfec01), Run::NONE];
        let check = |first, end| check_device(run(first, end), taken.into_iter());
        assert_eq!(check(0xfed40, 0xfed45), Ok(()));
        assert_eq!(check(0x8000, 0x8001), Ok(()));
        assert_eq!(check_device(run(0x100, 0x101), [].into_iter()), Ok(()), "the first page above 1 MiB");
        for (first, end) in
            [(0x100, 0x101), (0x7fff, 0x8001), (0xff, 0x100), (0, 1), (0xfec00, 0xfec01), (9, 9)]
        {
            assert_eq!(check(first, end), Err(CallError::BadArgument), "{first:#x} to {end:#x}");
        }
        assert_eq!(check(0xfebff, 0xfec02), Err(CallError::BadArgument));
    }

    #[test]
    fn pages_are_taken_where_the_boot_code_maps_them() {
        let mut free = FreeRuns::new(&[run(0x100, 0x110), run(0x10_0000, 0x20_0000)], &[run(0x108, 0x109)]);
        assert_eq!(free.take(7), Some(run(0x109, 0x110)));
        assert_eq!(free.take(8), Some(run(0x100, 0x108)));
        assert_eq!(free.take(1), None);
        assert_eq!(free.runs().last(), Some(&run(0x10_0000, 0x20_0000)));
    }

    #[test]
    fn the_largest_run_is_taken_first() {
        let mut free = FreeRuns::new(&[run(0x100, 0x110), run(0x200, 0x300), run(0x400, 0x420)], &[]);
        let taken: Vec<Run> = std::iter::from_fn(|| free.take_largest()).collect();
        assert_eq!(taken, [run(0x200, 0x300), run(0x400, 0x420), run(0x100, 0x110)]);
    }

    proptest! {
        /// Against sets of pages.
        #[test]
        fn what_is_taken_is_left_out(
            runs in vec((0..40_u64, 0..9_u64), 0..5), taken in vec((0..40_u64, 0..9_u64), 0..5)
        ) {
            let [runs, taken] = [runs, taken].map(|list| -> Vec<_> {
                list.into_iter().map(|(first, count)| run(first, first + count)).collect()
            });
            let expected: BTreeSet<_> = pages(&runs).difference(&pages(&taken)).copied().collect();
            prop_assert_eq!(pages(&without(&runs, &taken)), expected);
        }

        /// Each page of a run once, and none beside it.
        #[test]
        fn a_run_is_mapped_as_it_is(first in 0..2000_u64, count in 0..3000_u64, fine in 0..2000_u64) {
            let run = run(first, first + count);
            let fine = Run::new(Frame::new(fine), 3);
            let mut next = run.first;
            for Piece { pages, large } in run.pieces(|large| large.overlaps(fine)) {
                prop_assert_eq!(pages.first, next);
                next = pages.end;
                let table = |frame: Frame| frame.number() / LARGE_PAGES;
                prop_assert_eq!(table(pages.first), (pages.end.number() - 1) / LARGE_PAGES, "in one table");
                prop_assert!(!large || pages.pages() == LARGE_PAGES && !pages.overlaps(fine));
            }
            prop_assert_eq!(next, run.end);
        }
    }
}
