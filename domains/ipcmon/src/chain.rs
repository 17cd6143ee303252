//! The log of decisions.

use ipcmon_api::record::{Entry, Head, KEPT_ENTRIES, NO_ENTRIES};

/// A chain of entries, the last of which are kept.
#[derive(Clone, Debug)]
pub struct Chain {
    head: Head,
    /// What stood before the first entry that is kept.
    before: Head,
    next: u64,
    first: u64,
    kept: [Entry; KEPT_ENTRIES as usize],
}

impl Chain {
    /// A chain that goes on where another one has ended, whose entries are not kept.
    #[must_use]
    pub fn after(head: Head, next: u64) -> Self {
        Self { head, before: head, next, first: next, kept: [Entry::default(); KEPT_ENTRIES as usize] }
    }

    /// A chain without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::after(NO_ENTRIES, 0)
    }

    /// Appends an entry.
    pub fn append(&mut self, entry: Entry, time: u64, epoch: u32) {
        let entry = Entry { number: self.next, time, epoch, ..entry };
        let place = (self.next % KEPT_ENTRIES) as usize;
        if self.next - self.first == KEPT_ENTRIES {
            self.before = self.kept[place].append_to(&self.before);
            self.first += 1;
        }
        self.kept[place] = entry;
        self.head = entry.append_to(&self.head);
        self.next += 1;
    }

    /// What stands at the end, and before the first entry that is kept.
    #[must_use]
    pub fn heads(&self) -> (Head, Head) {
        (self.head, self.before)
    }

    /// How many entries there are, and the number of the first that is kept.
    #[must_use]
    pub fn numbers(&self) -> (u64, u64) {
        (self.next, self.first)
    }

    /// An entry, if it is kept.
    #[must_use]
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        (self.first..self.next).contains(&number).then(|| &self.kept[(number % KEPT_ENTRIES) as usize])
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}
