//! Physical memory as values: who has one may use the pages, because nobody else has them.

use cloison_abi::{Rights, image::BuilderSegment, limits::PAGE_BYTES};
use cloison_rules::{
    Frame, image,
    memory::{FreeRuns, Run},
};

use super::physical;

/// Pages of memory that are nobody else's. They are made of free memory, or of a region that gives its pages away.
#[derive(Debug)]
pub struct Frames(Run);

/// The same, all zero.
#[derive(Debug)]
pub struct ZeroedFrames(Run);

impl Frames {
    /// # Safety
    /// These are pages of memory, which nobody uses now, and nobody but the owner of this value does from now on.
    pub(in crate::arch) unsafe fn new(run: Run) -> Self {
        Self(run)
    }

    /// Which they are.
    pub fn run(&self) -> Run {
        self.0
    }

    /// Zeroes them.
    pub fn zeroed(self) -> ZeroedFrames {
        // SAFETY: they are this value's alone.
        unsafe { physical::zero(self.0) };
        ZeroedFrames(self.0)
    }
}

impl ZeroedFrames {
    /// # Safety
    /// As for [`Frames::new`]; and all of them are zero.
    pub(in crate::arch) unsafe fn new(run: Run) -> Self {
        Self(run)
    }

    /// Which they are.
    pub fn run(&self) -> Run {
        self.0
    }
}

/// Memory that nobody uses yet.
pub struct FreeMemory(FreeRuns);

impl FreeMemory {
    /// All of `memory` but what is `used`.
    ///
    /// # Safety
    /// This is memory, and nobody uses it but for what is `used`. There is no other value of this type.
    pub(in crate::arch) unsafe fn new(memory: &[Run], used: &[Run]) -> Self {
        Self(FreeRuns::new(memory, used))
    }

    /// Takes pages where the boot code maps them.
    pub fn take(&mut self, pages: u64) -> Option<Frames> {
        self.0.take(pages).map(Frames)
    }

    /// Takes the largest run as a whole.
    pub fn take_largest(&mut self) -> Option<Frames> {
        self.0.take_largest().map(Frames)
    }

    /// How many pages are left.
    pub fn pages(&self) -> u64 {
        self.0.runs().iter().map(|run| run.pages()).sum()
    }
}

/// A part of the system image that the builder sees where it lies in memory.
pub struct ImagePart {
    run: Run,
    address: u64,
    rights: Rights,
}

impl ImagePart {
    /// The part of an image that a segment describes; none if it does not lie in the image, or may not be seen so.
    ///
    /// # Safety
    /// The image lies in these pages, which no part of the kernel uses.
    pub(in crate::arch) unsafe fn new(image: Run, segment: &BuilderSegment) -> Option<Self> {
        image::fits(segment, image.pages() * PAGE_BYTES).then(|| Self {
            run: Run::new(image.first.after(segment.image_offset / PAGE_BYTES), segment.pages.into()),
            address: segment.address,
            rights: Rights::from_bits_truncate(segment.rights),
        })
    }

    /// Its pages, each with the address at which the builder sees it.
    pub(in crate::arch) fn pages(&self) -> impl Iterator<Item = (u64, Frame)> {
        let addresses = (self.address..).step_by(PAGE_BYTES as usize);
        addresses.zip(self.run.frames())
    }

    /// What the builder may do there.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Where it lies.
    #[cfg(feature = "self-attack")]
    pub fn run(&self) -> Run {
        self.run
    }

    /// Zeroes it.
    pub fn scrub(&self) {
        // SAFETY: no part of the kernel uses the image.
        unsafe { physical::zero(self.run) };
    }
}
