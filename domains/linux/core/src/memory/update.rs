//! Changes that the guest makes to its tables.

use cloison_xen::Errno;
use cloison_xen::memory::{self, mmuext};

use super::Paging;
use super::entry::{Entry, LEVELS, TABLE_ENTRIES, entry_address, index};
use super::fault::{hide, page_of};
use super::places::Place;
use super::walk::load;
use crate::machine::{Machine, Memory, ROW_WORDS};
use cloison_abi::limits::PAGE_BYTES;

impl Paging {
    /// One request of `mmu_update`: stores an entry of a table. What is not known as a table is a page like any other.
    ///
    /// # Errors
    /// The command is not offered, or the address not the guest's.
    pub fn mmu_update(&mut self, machine: &mut impl Machine, ptr: u64, val: u64) -> Result<(), Errno> {
        let at = ptr & !memory::MMU_COMMAND;
        if at / PAGE_BYTES >= u64::from(machine.pages()) || !at.is_multiple_of(8) {
            return Err(Errno::Invalid);
        }
        let old = machine.load(at).ok_or(Errno::Invalid)?;
        match ptr & memory::MMU_COMMAND {
            memory::MMU_NORMAL => self.store_entry(machine, at, Entry(val)),
            memory::MMU_PRESERVE_ACCESSED_DIRTY => {
                let kept = old & (Entry::ACCESSED | Entry::DIRTY);
                self.store_entry(machine, at, Entry(val | kept));
            }
            _ => return Err(Errno::NotOffered),
        }
        Ok(())
    }

    /// Stores the entry of an address of the guest's kernel, and flushes what the flags say.
    ///
    /// # Errors
    /// There is no table for the address.
    pub fn update_va_mapping(
        &mut self,
        machine: &mut impl Machine,
        va: u64,
        val: u64,
        flags: u64,
    ) -> Result<(), Errno> {
        let table = self.leaf_table(machine, va).ok_or(Errno::Invalid)?;
        let entry = Entry(val);
        self.store_entry(machine, entry_address(table, index(va, 1)), entry);
        if entry.has(Entry::PRESENT | Entry::WRITE) {
            self.let_go(machine, entry.frame());
        }
        match flags & memory::UPDATE_FLUSH {
            memory::UPDATE_FLUSH_ALL if !self.keeps => self.flush(machine),
            _ if self.show_again(machine, va) => {}
            _ => self.flush_page(machine, va),
        }
        Ok(())
    }

    /// One operation of `mmuext_op`.
    ///
    /// # Errors
    /// The command is not offered, or a frame not the guest's.
    pub fn mmuext(
        &mut self,
        machine: &mut impl Machine,
        cmd: u32,
        arg1: u64,
        arg2: u64,
    ) -> Result<(), Errno> {
        match cmd {
            mmuext::PIN_L1_TABLE..=mmuext::PIN_L4_TABLE => {
                let table = table(machine, arg1)?;
                let level = (cmd - mmuext::PIN_L1_TABLE) as u8 + 1;
                self.learn_below(machine, table, level);
                if level == LEVELS {
                    self.pinned = Some(table);
                    self.pinned_roots.learn(table);
                }
            }
            mmuext::UNPIN_TABLE => {
                let table = table(machine, arg1)?;
                self.pinned = None;
                self.pinned_roots.forget(table);
                self.let_go(machine, table.into());
                self.end_root(machine, table);
            }
            mmuext::NEW_BASEPTR => {
                let root = table(machine, arg1)?;
                self.change_root(machine, root);
            }
            mmuext::NEW_USER_BASEPTR if arg1 == 0 => self.user = None,
            mmuext::NEW_USER_BASEPTR => {
                let root = table(machine, arg1)?;
                self.tables.learn(root);
                self.user = Some(root);
            }
            mmuext::TLB_FLUSH_LOCAL | mmuext::TLB_FLUSH_MULTI | mmuext::TLB_FLUSH_ALL => self.flush(machine),
            mmuext::INVLPG_LOCAL | mmuext::INVLPG_MULTI | mmuext::INVLPG_ALL => {
                self.flush_page(machine, arg1)
            }
            mmuext::FLUSH_CACHE => {}
            // No table, or one whose selectors fault when they are used.
            mmuext::SET_LDT if arg2 <= 8192 => {}
            mmuext::SET_LDT => return Err(Errno::Invalid),
            _ => return Err(Errno::NotOffered),
        }
        Ok(())
    }

    /// Stores an entry, and takes back what was shown because of the one that was there.
    pub(super) fn store_entry(&mut self, machine: &mut impl Machine, at: u64, entry: Entry) {
        let Some(old) = machine.load(at).map(Entry) else { return };
        let _ = machine.store(at, entry.0);
        self.counters.updates += 1;
        let frame = (at / PAGE_BYTES) as u32;
        let is_foreign = entry.has(Entry::PRESENT) && page_of(machine, entry.frame()).is_none();
        if is_foreign && self.tables.has(frame.into()) {
            self.counters.foreign += 1;
        }
        if !old.is_within(entry) {
            self.take_back(machine, frame, at / 8 % TABLE_ENTRIES);
        }
    }

    /// Where a table is used, in spaces that there are.
    fn places_of(&self, table: u32) -> impl Iterator<Item = Place> {
        self.places.of(table).filter(|place| self.roots.has(place.space))
    }

    /// Takes back what is shown because of an entry of a table.
    fn take_back(&mut self, machine: &mut impl Machine, table: u32, entry: u64) {
        for place in self.places_of(table) {
            let (address, pages) = place.below(entry);
            hide(machine, place.space, address, pages);
        }
        if entry < TABLE_ENTRIES / 2 {
            self.take_back_root(machine, table, entry);
            return;
        }
        self.upper_changes();
        if table == self.kernel {
            self.settle_upper(machine);
        }
    }

    /// A frame is no table any more, or the guest can change it unseen: nothing is shown because of it.
    pub(super) fn let_go(&mut self, machine: &mut impl Machine, frame: u64) {
        if let Ok(table) = u32::try_from(frame)
            && self.tables.forget(table)
        {
            for place in self.places_of(table) {
                hide(machine, place.space, place.start, super::entry::pages_below(place.level + 1));
            }
        }
    }

    /// Learns a table of some level, and the tables that it leads to: no more are looked into than the guest has pages, for they
    /// may lead in circles.
    pub(super) fn learn_below(&mut self, memory: &impl Memory, table: u32, level: u8) {
        let mut left = memory.pages();
        self.learn_some(memory, table, level, &mut left);
    }

    fn learn_some(&mut self, memory: &impl Memory, table: u32, level: u8, left: &mut u32) {
        self.tables.learn(table);
        if level == 1 || *left == 0 {
            return;
        }
        *left -= 1;
        // What a root has in common with the one in use, or with the last one, has been learnt with that: of a Linux's the
        // upper half, and of one for user programs all.
        let known = [Some(self.kernel), self.pinned];
        let known = known.map(|root| root.filter(|root| level == LEVELS && *root != table));
        let mut row = [0; ROW_WORDS];
        for first in (0..TABLE_ENTRIES).step_by(ROW_WORDS) {
            if memory.load_row(entry_address(table, first), &mut row).is_none() {
                return;
            }
            if row.iter().fold(0, |all, word| all | word) & Entry::PRESENT == 0 {
                continue;
            }
            for (at, entry) in (first..).zip(row.map(Entry)) {
                if !entry.has(Entry::PRESENT) || entry.has(Entry::LARGE) {
                    continue;
                }
                let is_in = |root: &u32| load(memory, *root, at).is_some_and(|known| known.is_like(entry));
                let next = u32::try_from(entry.frame()).unwrap_or(u32::MAX);
                if next < memory.pages() && !known.iter().flatten().any(is_in) {
                    self.learn_some(memory, next, level - 1, left);
                }
            }
        }
    }

    /// Forgets what was shown, as a CPU forgets its translations: of a lower half only if its tables can change unseen. The
    /// upper half is dropped only if changes of tables may go unseen at all: it is much, and Linux flushes all at each start
    /// of a process.
    fn flush(&mut self, machine: &mut impl Machine) {
        if !self.sees_all() {
            self.drop_lower(machine);
        }
        if !self.keeps {
            self.drop_upper(machine);
        }
    }

    /// Whether each change of a table in use is seen, and what was shown because of it taken back: so it is below roots that
    /// are pinned, for a guest that could run under Xen. Another one sees old entries of its own.
    pub(super) fn sees_all(&self) -> bool {
        let is_pinned = |root: u32| self.pinned_roots.has(root.into());
        self.keeps && is_pinned(self.kernel) && self.user.is_none_or(is_pinned)
    }

    fn flush_page(&mut self, machine: &mut impl Machine, address: u64) {
        if super::entry::is_canonical(address) && !self.sees_all() {
            hide(machine, self.space_of(address), address & !(PAGE_BYTES - 1), 1);
        }
    }

    /// The table of level 1 for an address of the guest's kernel, whether there is a page or not.
    fn leaf_table(&self, memory: &impl Memory, address: u64) -> Option<u32> {
        let mut table = self.kernel;
        for level in (2..=LEVELS).rev() {
            let entry = load(memory, table, index(address, level))?;
            if !entry.has(Entry::PRESENT) || entry.has(Entry::LARGE) {
                return None;
            }
            table = u32::try_from(entry.frame()).ok()?;
        }
        (table < memory.pages()).then_some(table)
    }
}

/// A frame as a table.
fn table(memory: &impl Memory, frame: u64) -> Result<u32, Errno> {
    u32::try_from(frame).ok().filter(|frame| *frame < memory.pages()).ok_or(Errno::Invalid)
}
