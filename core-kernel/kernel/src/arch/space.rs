//! Address spaces: the kernel's half of each of them, and the page tables of domains.
//!
//! The kernel's half is the same everywhere: PML4 slot 264, the direct map of physical memory, for the supervisor
//! only. A domain's tables are made of pages of its own quota; they are given back when its life ends, not before.

use core::ops::Range;

use cloison_abi::{CallError, Rights};
use cloison_rules::{
    Frame,
    mapping::Mapping,
    memory::{MAX_RUNS, Run, check_device},
};
use heapless::Vec;
use x86_64::structures::paging::PageTableFlags as Flags;

use super::{
    frames::{Frames, ImagePart, ZeroedFrames},
    physical::{self, Entry},
};

/// PML4 slots of the kernel.
pub(super) const KERNEL_SLOTS: Range<usize> = 264..272;
/// Runs of pages that the kernel maps: memory, its image, the system's image, the interrupt controllers.
pub const MAX_MAPPED: usize = MAX_RUNS + 2 + MAX_CONTROLLERS;
/// Interrupt controllers that a machine can have.
pub const MAX_CONTROLLERS: usize = 17;

/// The kernel's own address space, the pattern for all others.
pub struct KernelSpace {
    root: Frame,
    mapped: Vec<Run, MAX_MAPPED>,
}

/// Registers of a device: pages that the kernel does not use.
pub struct DeviceFrames(pub(super) Run);

impl KernelSpace {
    /// None: what stands in until boot has built it. No domain can have an address space before.
    pub const NONE: Self = Self { root: Frame::new(0), mapped: Vec::new() };

    /// # Safety
    /// `root` is a root table with the kernel's half, which stays as it is. It maps the pages `mapped`, and no others.
    pub(in crate::arch) unsafe fn new(root: Frame, mapped: Vec<Run, MAX_MAPPED>) -> Self {
        Self { root, mapped }
    }

    /// The root table.
    pub(in crate::arch) fn root(&self) -> Frame {
        self.root
    }

    /// All pages that the kernel maps.
    #[cfg(feature = "self-attack")]
    pub fn mapped(&self) -> &[Run] {
        &self.mapped
    }

    /// Pages that are those of a device which a domain drives.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if they are memory, an interrupt controller's, or below 1 MiB, where firmware is.
    pub fn device(&self, pages: Run) -> Result<DeviceFrames, CallError> {
        check_device(pages, self.mapped.iter().copied())?;
        Ok(DeviceFrames(pages))
    }
}

/// The address space of a domain.
#[derive(Debug)]
pub struct AddressSpace {
    /// The pages of its quota. The first one is the root table.
    quota: Run,
    /// The first of them that is no table yet.
    next: Frame,
    /// The page that is shown in place of memory that is withdrawn, once there is one. It is the domain's alone.
    dead: Option<Frame>,
}

impl AddressSpace {
    /// No address space.
    pub const NONE: Self = Self { quota: Run::NONE, next: Frame::new(0), dead: None };

    /// An empty address space whose tables come from these pages.
    pub fn new(frames: ZeroedFrames, kernel: &KernelSpace) -> Self {
        let quota = frames.run();
        assert!(
            quota.pages() > 0 && !kernel.mapped.is_empty(),
            "an address space needs a table and a kernel"
        );
        for slot in KERNEL_SLOTS {
            // SAFETY: both are root tables: the kernel's, and one that nobody uses yet.
            unsafe { Entry::of(quota.first, slot).set(Entry::of(kernel.root, slot).get()) };
        }
        Self { quota, next: quota.first.after(1), dead: None }
    }

    /// Ends the address space, if there is one. Returns the pages of its quota.
    pub fn end(&mut self) -> Option<Frames> {
        let Self { quota, .. } = core::mem::replace(self, Self::NONE);
        if quota.pages() == 0 {
            return None;
        }
        assert!(!physical::is_loaded(quota.first), "an address space has ended that is in use");
        // SAFETY: they came as frames of nobody's. No CPU uses the tables any more.
        Some(unsafe { Frames::new(quota) })
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.quota.pages() > 0
    }

    /// The page that is shown in place of memory that is withdrawn.
    #[cfg(test)]
    pub fn dead(&self) -> Option<Frame> {
        self.dead
    }

    /// How many pages of its quota are in use: for page tables, and as the dead page.
    pub fn pages_used(&self) -> u64 {
        self.next.number() - self.quota.first.number()
    }

    /// Physical address of the root table.
    #[inline]
    pub(in crate::arch) fn root(&self) -> u64 {
        self.quota.first.address()
    }

    /// Maps a page of memory or of a device. `address` is a domain's, and the rights are never to write and to
    /// execute: both come from what has checked that.
    ///
    /// # Errors
    /// [`CallError::QuotaExceeded`] if a table is needed and the quota is used up. [`CallError::Overlap`] if
    /// something is mapped there.
    pub(super) fn map(
        &mut self,
        address: u64,
        frame: Frame,
        rights: Rights,
        device: bool,
    ) -> Result<(), CallError> {
        let mut flags = Flags::PRESENT | Flags::USER_ACCESSIBLE;
        flags.set(Flags::WRITABLE, rights.contains(Rights::WRITE));
        flags.set(Flags::NO_EXECUTE, !rights.contains(Rights::EXECUTE));
        flags.set(Flags::NO_CACHE | Flags::WRITE_THROUGH, device);
        let links = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
        let Self { quota, next, .. } = self;
        let mut take = || take(next, *quota);
        // SAFETY: the tables are those of this address space, made of pages of its own.
        let entry =
            unsafe { walk(quota.first, address, 1, &mut take, links) }.ok_or(CallError::QuotaExceeded)?;
        if entry.get() != 0 {
            return Err(CallError::Overlap);
        }
        entry.set(frame.address() | flags.bits());
        Ok(())
    }

    /// Shows the dead page in place of one that is withdrawn. What the domain writes there, nobody else reads; and it cannot
    /// be executed, as it can be written elsewhere.
    ///
    /// # Errors
    /// As for any mapping; [`CallError::QuotaExceeded`] too if there is no page for it.
    pub(super) fn map_dead(&mut self, address: u64, rights: Rights) -> Result<(), CallError> {
        self.dead = self.dead.or_else(|| take(&mut self.next, self.quota));
        let dead = self.dead.ok_or(CallError::QuotaExceeded)?;
        self.map(address, dead, rights.difference(Rights::EXECUTE), false)
    }

    /// Maps a part of the system image.
    ///
    /// # Errors
    /// As for any mapping: too few pages for tables, or something is seen there.
    pub fn map_image(&mut self, part: &ImagePart) -> Result<(), CallError> {
        part.pages().try_for_each(|(address, frame)| self.map(address, frame, part.rights(), false))
    }

    /// Removes pages of a mapping, as far as they are there.
    pub fn hide(&mut self, mapping: &Mapping, pages: Range<u32>) {
        for page in pages {
            let address = mapping.address_of(page);
            // SAFETY: as for `map`.
            if let Some(entry) = unsafe { walk(self.quota.first, address, 1, &mut || None, Flags::empty()) } {
                entry.set(0);
                // Of no use if another address space is loaded, and no harm.
                physical::flush(address);
            }
        }
    }
}

/// The next page of a quota, if there is one.
fn take(next: &mut Frame, quota: Run) -> Option<Frame> {
    let page = *next;
    (page < quota.end).then(|| {
        *next = page.after(1);
        page
    })
}

/// The entry for `address` in its table of `level` (1: page table, 2: page directory, and so on). What is missing on
/// the way there is made of what `take` gives. None if it gives none.
///
/// # Safety
/// `root` is a root table, and nobody else changes it and what hangs below. `take` gives pages that are zero and nobody
/// else's.
pub(in crate::arch) unsafe fn walk(
    root: Frame,
    address: u64,
    level: u32,
    take: &mut impl FnMut() -> Option<Frame>,
    links: Flags,
) -> Option<Entry> {
    // SAFETY: so says the caller.
    unsafe { descend(root, 4, address, level, take, links) }
}

/// The same, from a table of level `top` on.
///
/// # Safety
/// As for [`walk`].
pub(super) unsafe fn descend(
    table: Frame,
    top: u32,
    address: u64,
    level: u32,
    take: &mut impl FnMut() -> Option<Frame>,
    links: Flags,
) -> Option<Entry> {
    let mut at = table;
    for upper in (level + 1..=top).rev() {
        // SAFETY: `at` is a table: the first, or what an entry of a table leads to.
        let entry = unsafe { Entry::of(at, index(address, upper)) };
        let mut found = entry.get();
        if found == 0 {
            found = take()?.address() | links.bits();
            entry.set(found);
        }
        assert!(found & Flags::HUGE_PAGE.bits() == 0, "a device's registers lie among memory");
        at = Frame::holding(found & ADDRESS);
    }
    // SAFETY: as above.
    Some(unsafe { Entry::of(at, index(address, level)) })
}

/// The bits of an entry that are an address.
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Which entry of a table of `level` is for `address`.
pub(super) fn index(address: u64, level: u32) -> usize {
    (address >> (3 + 9 * level) & 0x1ff) as usize
}
