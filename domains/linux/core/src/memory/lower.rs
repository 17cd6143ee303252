//! What is shown in lower halves.

use super::Paging;
use super::entry::{Entry, LEVELS, index};
use super::walk::{Path, load};
use crate::machine::{Machine, Memory, Space};

/// Pages of a lower half.
const HALF_PAGES: u64 = 1 << 35;

/// The lower half that is in use.
pub struct Lower {
    /// Something is shown.
    shown: bool,
    /// Something is shown that user programs may not see, or the guest's kernel not.
    one_sided: bool,
    /// The root of user programs for which it was shown.
    user: Option<u32>,
}

impl Lower {
    pub(super) const fn new() -> Self {
        Self { shown: false, one_sided: false, user: None }
    }

    pub(super) fn space(&self) -> Space {
        Space(0)
    }

    pub(super) fn is_one_sided(&self) -> bool {
        self.one_sided
    }
}

impl Paging {
    /// Makes what is shown fit the roots.
    pub(super) fn settle(&mut self, machine: &mut impl Machine) {
        if self.lower.user != self.user {
            self.drop_lower(machine);
            self.lower.user = self.user;
        }
    }

    /// Shows nothing in the lower half.
    pub(super) fn drop_lower(&mut self, machine: &mut impl Machine) {
        if self.lower.shown {
            machine.unmap(self.lower.space(), 0, HALF_PAGES);
            self.counters.drops += 1;
        }
        self.lower.shown = false;
        self.lower.one_sided = false;
    }

    /// Notes that a page of the lower half is about to be shown.
    pub(super) fn note_lower(&mut self, memory: &impl Memory, address: u64, path: &Path) {
        self.lower.shown = true;
        self.lower.one_sided |= !self.both_see(memory, address, path);
    }

    /// Whether user programs and the guest's kernel are let through alike to a page of the lower half: kernel and user
    /// share the shadow of it.
    pub(super) fn both_see(&self, memory: &impl Memory, address: u64, path: &Path) -> bool {
        let Some(user) = self.user else { return true };
        let at = index(address, LEVELS);
        let entry = |root| load(memory, root, at).unwrap_or(Entry(0));
        path.user() && entry(user).is_like(entry(self.kernel))
    }
}
