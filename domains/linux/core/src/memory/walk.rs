//! What the guest's tables say of an address.

use super::entry::{Entry, LEVELS, entry_address, index, is_canonical};
use crate::machine::Memory;

/// What the guest wants to do at an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Write, not only read.
    pub write: bool,
    /// Execute.
    pub execute: bool,
    /// As a user program.
    pub user: bool,
}

/// Bits of a page fault's error code.
pub mod code {
    /// There is an entry; it does not let the access through.
    pub const PRESENT: u64 = 1 << 0;
    /// It was a write.
    pub const WRITE: u64 = 1 << 1;
    /// It was a user program.
    pub const USER: u64 = 1 << 2;
    /// An entry has a bit or a frame that it must not have.
    pub const RESERVED: u64 = 1 << 3;
    /// It was the fetch of an instruction.
    pub const FETCH: u64 = 1 << 4;
}

impl Access {
    /// What the CPU's error code says; who it was the CPU cannot know, for guest kernels run as user programs do.
    #[must_use]
    pub const fn from_code(code: u64, user: bool) -> Self {
        Self { write: code & code::WRITE != 0, execute: code & code::FETCH != 0, user }
    }

    /// The error code that a CPU would have given.
    #[must_use]
    pub const fn code(self) -> u64 {
        self.write as u64 * code::WRITE + self.user as u64 * code::USER + self.execute as u64 * code::FETCH
    }
}

/// A page, and the way that leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The tables, the one of level 1 first.
    pub tables: [u32; LEVELS as usize],
    /// The entries, the one of level 1 first.
    pub entries: [Entry; LEVELS as usize],
}

/// Why an address leads to no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// An entry is not there.
    Absent,
    /// An entry is there, and names no table of the guest's memory.
    Foreign,
}

impl Path {
    /// The frame at its end.
    #[must_use]
    pub const fn frame(&self) -> u64 {
        self.entries[0].frame()
    }

    /// Whether it can be written to.
    #[must_use]
    pub fn write(&self) -> bool {
        self.entries.iter().all(|entry| entry.has(Entry::WRITE))
    }

    /// Whether user programs can reach it.
    #[must_use]
    pub fn user(&self) -> bool {
        self.entries.iter().all(|entry| entry.has(Entry::USER))
    }

    /// Whether it can be executed.
    #[must_use]
    pub fn execute(&self) -> bool {
        !self.entries.iter().any(|entry| entry.has(Entry::NO_EXECUTE))
    }

    /// Whether a write has been noted.
    #[must_use]
    pub const fn dirty(&self) -> bool {
        self.entries[0].has(Entry::DIRTY)
    }

    /// Whether it lets an access through. To the guest's kernel, pages of user programs are as open as its own: it has
    /// been told of neither SMEP nor SMAP. Write protection binds it.
    #[must_use]
    pub fn allows(&self, access: Access) -> bool {
        (!access.user || self.user())
            && (!access.write || self.write())
            && (!access.execute || self.execute())
    }

    /// Notes in the tables that the page was used, as a CPU does.
    pub fn note(&mut self, memory: &mut impl Memory, address: u64, write: bool) {
        let all = self.entries.iter().fold(u64::MAX, |all, entry| all & entry.0);
        if all & Entry::ACCESSED != 0 && (self.dirty() || !write) {
            return;
        }
        for level in 1..=LEVELS {
            let at = usize::from(level - 1);
            let dirty = if write && level == 1 { Entry::DIRTY } else { 0 };
            let bits = Entry::ACCESSED | dirty;
            if !self.entries[at].has(bits) {
                self.entries[at].0 |= bits;
                add(memory, entry_address(self.tables[at], index(address, level)), bits);
            }
        }
    }
}

/// Reads an entry of a table, if the table is the guest's.
pub fn load(memory: &impl Memory, table: u32, index: u64) -> Option<Entry> {
    if table >= memory.pages() {
        return None;
    }
    memory.load(entry_address(table, index)).map(Entry)
}

/// Walks the tables from a root. Four loads, whatever the tables say: a table that leads back to itself does no harm.
///
/// # Errors
/// Where it ends before a page.
pub fn walk(memory: &impl Memory, root: u32, address: u64) -> Result<Path, Stop> {
    if !is_canonical(address) {
        return Err(Stop::Absent);
    }
    let mut path = Path { tables: [root; LEVELS as usize], entries: [Entry(0); LEVELS as usize] };
    for (at, level) in [(3, 4), (2, 3), (1, 2), (0, 1)] {
        let entry = load(memory, path.tables[at], index(address, level)).ok_or(Stop::Foreign)?;
        if !entry.has(Entry::PRESENT) {
            return Err(Stop::Absent);
        }
        path.entries[at] = entry;
        if at > 0 {
            path.tables[at - 1] = next_table(entry)?;
        }
    }
    Ok(path)
}

/// The table that an entry leads to; whether it is the guest's the next load says.
fn next_table(entry: Entry) -> Result<u32, Stop> {
    if entry.has(Entry::LARGE) {
        Err(Stop::Foreign)
    } else {
        u32::try_from(entry.frame()).map_err(|_| Stop::Foreign)
    }
}

/// Sets bits of an entry that a walk went through. It is read once more: one entry may stand on several levels.
fn add(memory: &mut impl Memory, at: u64, bits: u64) {
    if let Some(entry) = memory.load(at) {
        let _ = memory.store(at, entry | bits);
    }
}
