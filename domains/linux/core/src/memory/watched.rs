//! Pages of the lower half that are not shown for all that the guest's tables allow, so that to reach for them faults.

use cloison_abi::limits::PAGE_BYTES;

use super::Paging;
use super::fault::hide;
use super::walk::Access;
use crate::cpu::BREAKPOINTS;
use crate::machine::{Machine, Shown};

/// What does not come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// To execute what is there.
    Execute,
    /// To write.
    Write,
    /// Everything.
    All,
}

/// Such a page, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchedPage {
    pub(crate) address: u64,
    pub(crate) barred: Barred,
}

/// All of them.
pub(super) struct Watched {
    pages: [Option<WatchedPage>; BREAKPOINTS],
    /// All comes through for now.
    is_open: bool,
}

impl Watched {
    pub(super) const NONE: Self = Self { pages: [None; BREAKPOINTS], is_open: false };

    fn at(&self, address: u64) -> impl Iterator<Item = Barred> {
        let page = address & !(PAGE_BYTES - 1);
        self.pages
            .iter()
            .flatten()
            .filter(move |watched| watched.address == page)
            .map(|watched| watched.barred)
    }

    /// What is left of how a page is shown.
    pub(super) fn limit(&self, address: u64, shown: Option<Shown>) -> Option<Shown> {
        if self.is_open {
            return shown;
        }
        self.at(address).fold(shown, |shown, barred| match barred {
            Barred::Execute => shown.map(|shown| Shown { execute: false, ..shown }),
            Barred::Write => shown.map(|shown| Shown { write: false, ..shown }),
            Barred::All => None,
        })
    }
}

impl Paging {
    /// From now on these pages are watched, in the space in use, and no others. None of them is open.
    pub(crate) fn watch(&mut self, machine: &mut impl Machine, pages: [Option<WatchedPage>; BREAKPOINTS]) {
        self.watched.pages = pages;
        self.close_watched(machine);
    }

    /// Whether the guest faults for this, as long as nothing is open.
    pub(crate) fn is_barred(&self, address: u64, access: Access) -> bool {
        self.watched.at(address).any(|barred| match barred {
            Barred::Execute => access.execute,
            Barred::Write => access.write,
            Barred::All => true,
        })
    }

    /// From now on they are shown as all pages are.
    pub(crate) fn open_watched(&mut self) {
        self.watched.is_open = true;
    }

    /// From now on they are not.
    pub(crate) fn close_watched(&mut self, machine: &mut impl Machine) {
        self.watched.is_open = false;
        for page in self.watched.pages.iter().flatten() {
            hide(machine, self.roots.current(), page.address, 1);
        }
    }
}
