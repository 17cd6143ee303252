//! Whether what is shown is what the guest's tables say: for tests that look on while a real guest runs.
//!
//! A guest that writes to tables in use unseen, and flushes later, is shown what they said before, as by a CPU. A Linux never
//! does: what it is shown is right at each of its exits.

use cloison_abi::guest::UPPER_HALF;

use super::Paging;
use super::entry::{Entry, LEVELS};
use super::fault::page_of;
use super::walk::walk;
use crate::machine::{Memory, Shown, Space};

/// Where a path has the entry of the root.
const ROOT: usize = LEVELS as usize - 1;

impl Paging {
    /// Whether a page may be shown so at an address of a space now.
    #[must_use]
    pub fn is_right(&self, memory: &impl Memory, space: Space, address: u64, shown: Shown) -> bool {
        let says = |root: Option<u32>| root.is_some_and(|root| self.says(memory, root, address, shown));
        if address >= UPPER_HALF {
            let own = self.own(memory, address);
            return own.map_or_else(|| says(Some(self.kernel)), |own| own == shown);
        }
        let [kernel, user] = self.roots.of_space(space);
        match [says(kernel), user.is_none() || says(user)] {
            [true, true] => true,
            // What only one side may see.
            [by_kernel, by_user] => (by_kernel || by_user) && self.roots.is_one_sided_in(space),
        }
    }

    /// Whether the tables below a root let a page through, and it has been noted there what the guest did (of two roots, only
    /// in the one by which it was done). A table is never open to be written.
    fn says(&self, memory: &impl Memory, root: u32, address: u64, shown: Shown) -> bool {
        walk(memory, root, address).is_ok_and(|path| {
            let is_open = path.write() && path.dirty() && !self.tables.has(path.frame());
            page_of(memory, path.frame()) == Some(shown.page)
                && path.entries[..ROOT].iter().all(|entry| entry.has(Entry::ACCESSED))
                && (!shown.write || is_open)
                && (!shown.execute || path.execute())
        })
    }
}
