//! Page faults.

use cloison_abi::guest::{GUEST_LOW_END, GuestHalf, GuestRegisters, UPPER_HALF};
use cloison_abi::limits::PAGE_BYTES;
use cloison_tpm::{TPM_ADDRESS, TPM_BYTES};
use cloison_xen::memory::MACHINE_TO_PHYSICAL;

use super::Paging;
use super::entry::{Entry, LEVELS, TABLE_ENTRIES, entry_address, index};
use super::places::{Full, Place};
use super::store::Store;
use super::walk::{Access, Path, Stop, code, walk};
use crate::decode::mask;
use crate::machine::{Machine, Memory, Page, Shown, Space};
use crate::stub;

/// Pages that are looked at at one fault: those around the address that the guest has used before are shown with it.
pub(super) const AROUND: usize = 16;
/// Addresses that the machine's kernel keeps for itself in every space.
const KEPT: core::ops::Range<u64> = 0xffff_8400_0000_0000..0xffff_8800_0000_0000;
/// Frames of a TPM's registers.
const TPM_FRAMES: core::ops::Range<u64> = TPM_ADDRESS / PAGE_BYTES..(TPM_ADDRESS + TPM_BYTES) / PAGE_BYTES;

/// What comes of a page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The page is shown now: the guest goes on.
    Resume,
    /// It was a store to a page table: it is done, and the registers say what comes after it.
    Emulated,
    /// The guest has to deal with it.
    Reflect {
        /// The error code.
        code: u64,
    },
    /// The guest's kernel has reached for a register of a device.
    Device {
        /// Its address, as the machine has it.
        address: u64,
        /// Whether it is a write.
        write: bool,
    },
    /// There is no room for the one table that it takes, though nothing else is shown.
    NoRoom,
}

/// Pages of the table that says which of its frames a frame of the machine is.
#[must_use]
pub fn machine_to_physical_pages(memory: &impl Memory) -> u32 {
    // A page of it is about 512 frames; the shared ones are the last.
    (memory.shared_address() / PAGE_BYTES / TABLE_ENTRIES) as u32 + 1
}

impl Paging {
    /// Deals with a page fault, of which the CPU said address and error code.
    pub fn fault(
        &mut self,
        machine: &mut impl Machine,
        address: u64,
        code: u64,
        registers: &mut GuestRegisters,
    ) -> Fault {
        self.settle(machine);
        let access = Access::from_code(code, self.half == GuestHalf::Lower);
        if let Some(shown) = self.own(machine, address).filter(|_| !access.user) {
            return self.show_own(machine, address, shown, access);
        }
        let fault = match walk(machine, self.root(), address) {
            Err(Stop::Absent) => Fault::Reflect { code: access.code() },
            Err(Stop::Foreign) => foreign(access),
            Ok(path) if path.allows(access) => self.fill(machine, address, access, path, AROUND),
            Ok(path)
                if self.is_table_write(access, &path) && self.store(machine, address, &path, registers) =>
            {
                Fault::Emulated
            }
            Ok(_) => Fault::Reflect { code: access.code() | code::PRESENT },
        };
        if matches!(fault, Fault::Reflect { .. }) {
            self.miss(machine, address, access);
        }
        fault
    }

    /// Whether the guest's kernel writes to a page table, which it has made read-only: Xen would have it so.
    fn is_table_write(&self, access: Access, path: &Path) -> bool {
        access.write && !access.user && !path.write() && self.tables.has(path.frame())
    }

    /// Carries out the guest's store to an entry of a table. Returns whether that could be done: the instruction has to be
    /// known, and its address the one that the fault was about.
    fn store(
        &mut self,
        machine: &mut impl Machine,
        address: u64,
        path: &Path,
        registers: &mut GuestRegisters,
    ) -> bool {
        let instruction = self.fetch(machine, registers.rip);
        let within = address % 8;
        let Some(store) = Store::decode(instruction.bytes(), registers)
            .filter(|store| store.address == address && within + u64::from(store.size) <= 8)
        else {
            self.counters.unknown_stores += 1;
            return false;
        };
        let at = path.frame() * PAGE_BYTES + address % PAGE_BYTES - within;
        let Some(word) = machine.load(at) else { return false };
        let shift = within * 8;
        let new = store.carry_out(word >> shift, registers);
        let entry = word & !(mask(store.size) << shift) | new << shift;
        self.store_entry(machine, at, Entry(entry));
        self.counters.emulated += 1;
        true
    }

    /// Shows the page at the end of a path, and around it those that the guest has used before.
    pub(super) fn fill(
        &mut self,
        machine: &mut impl Machine,
        address: u64,
        access: Access,
        mut path: Path,
        around: usize,
    ) -> Fault {
        if page_of(machine, path.frame()).is_none() {
            return outside(address, access, &path);
        }
        if !can_be_shown(address) {
            return foreign(access);
        }
        if access.user && address >= UPPER_HALF {
            return Fault::Reflect { code: access.code() | code::PRESENT };
        }
        path.note(machine, address, access.write);
        if access.write {
            self.let_go(machine, path.frame());
        }
        for table in path.tables {
            self.tables.learn(table);
        }
        self.show_around(machine, address, access, &path, around)
    }

    fn show_around(
        &mut self,
        machine: &mut impl Machine,
        address: u64,
        access: Access,
        path: &Path,
        around: usize,
    ) -> Fault {
        let start = address & !(around as u64 * PAGE_BYTES - 1);
        let mut pages = [None; AROUND];
        let pages = &mut pages[..around];
        for (number, page) in pages.iter_mut().enumerate() {
            let at = start + number as u64 * PAGE_BYTES;
            let shown = if at == address & !(PAGE_BYTES - 1) {
                self.shown(machine, path, access.write)
            } else {
                self.beside(machine, at, path)
            };
            *page = self.watched.limit(at, shown);
        }
        let first = pages.iter().position(Option::is_some).unwrap_or(0);
        let end = pages.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.counters.fills += 1;
        let at = start + first as u64 * PAGE_BYTES;
        let mut tried = 0;
        loop {
            self.note(machine, address, path);
            if machine.map(self.space_of(at), at, &pages[first..end]).is_ok() {
                return Fault::Resume;
            }
            if !self.make_room(machine, &mut tried) {
                return Fault::NoRoom;
            }
        }
    }

    /// Notes because of what pages are about to be shown.
    fn note(&mut self, machine: &mut impl Machine, address: u64, path: &Path) {
        loop {
            if address < UPPER_HALF {
                self.note_lower(machine, address, path);
            } else {
                self.note_upper(machine, address, path.entries[3]);
            }
            if self.note_places(address, path).is_ok() {
                return;
            }
            self.drop_all(machine);
        }
    }

    fn note_places(&mut self, address: u64, path: &Path) -> Result<(), Full> {
        if address < UPPER_HALF && !self.keeps {
            return Ok(());
        }
        let space = self.space_of(address);
        (1..LEVELS).try_for_each(|level| {
            self.places.note(path.tables[usize::from(level) - 1], Place::of(space, level, address))
        })
    }

    /// How the page at the end of a path is shown: for writing only once the guest's entry says that it was written to,
    /// or the guest would never learn of it; a table not at all for writing, unless the guest just writes to it as to any
    /// page.
    fn shown(&self, memory: &impl Memory, path: &Path, writes: bool) -> Option<Shown> {
        let write = path.write() && path.dirty() && (writes || !self.tables.has(path.frame()));
        Some(Shown { page: page_of(memory, path.frame())?, write, execute: path.execute() })
    }

    /// How a page beside it is shown, if the guest has used it.
    fn beside(&self, memory: &impl Memory, at: u64, path: &Path) -> Option<Shown> {
        let entry = Entry(memory.load(entry_address(path.tables[0], index(at, 1)))?);
        let mut path = *path;
        path.entries[0] = entry;
        let sees = at >= UPPER_HALF || self.user.is_none() || path.user();
        let wanted = entry.has(Entry::PRESENT | Entry::ACCESSED) && sees && can_be_shown(at);
        if wanted { self.shown(memory, &path, false) } else { None }
    }

    /// The page at an address of which no table of the guest has a say, if there is one.
    pub(super) fn own(&self, memory: &impl Memory, address: u64) -> Option<Shown> {
        let shown = |page| Shown { page: Page::MachineToPhysical(page), write: false, execute: false };
        let numbers = machine_to_physical(memory, address).map(shown);
        let stub = || shown_of_stub(memory, address, self.information);
        numbers.or_else(stub).or_else(|| seen_by_stub(memory, address))
    }

    /// Shows such a page, and those around it.
    fn show_own(&mut self, machine: &mut impl Machine, address: u64, shown: Shown, access: Access) -> Fault {
        if access.write && !shown.write || access.execute && !shown.execute {
            return Fault::Reflect { code: access.code() | code::PRESENT };
        }
        let start = address & !(AROUND as u64 * PAGE_BYTES - 1);
        let pages: [_; AROUND] =
            core::array::from_fn(|number| self.own(machine, start + number as u64 * PAGE_BYTES));
        let mut tried = 0;
        while machine.map(Space(0), start, &pages).is_err() {
            if !self.make_room(machine, &mut tried) {
                return Fault::NoRoom;
            }
        }
        Fault::Resume
    }
}

/// Which page of the table of frames an address is in.
fn machine_to_physical(memory: &impl Memory, address: u64) -> Option<u32> {
    let page = u32::try_from(address.checked_sub(MACHINE_TO_PHYSICAL)? / PAGE_BYTES).ok()?;
    (page < machine_to_physical_pages(memory)).then_some(page)
}

/// The page of a frame, if it is the guest's.
pub fn page_of(memory: &impl Memory, frame: u64) -> Option<Page> {
    let shared = memory.shared_address() / PAGE_BYTES;
    let number = u32::try_from(frame).ok()?;
    if number < memory.pages() {
        return Some(Page::Ram(number));
    }
    let beyond = u32::try_from(frame.checked_sub(shared)?).ok()?;
    memory.load(frame * PAGE_BYTES).map(|_| Page::Shared(beyond))
}

/// Shows nothing any more in pages from an address on, all of one half: in those of them that a guest can have. The
/// kernel refuses the others, and calls that ask for them whole.
pub(super) fn hide(machine: &mut impl Machine, space: Space, at: u64, pages: u64) {
    // The lower half ends with a page that no guest has; of the upper half what the kernel keeps is whole slots.
    let pages = GUEST_LOW_END.checked_sub(at).map_or(pages, |bytes| pages.min(bytes / PAGE_BYTES));
    if pages > 0 && can_be_shown(at) {
        machine.unmap(space, at, pages);
    }
}

/// Whether the kernel would show anything at an address at all.
fn can_be_shown(address: u64) -> bool {
    address < GUEST_LOW_END || (address >= UPPER_HALF && !KEPT.contains(&address))
}

/// An entry names what is not the guest's.
fn foreign(access: Access) -> Fault {
    Fault::Reflect { code: access.code() | code::PRESENT | code::RESERVED }
}

/// A path leads out of the guest's memory: to a device, or astray.
fn outside(address: u64, access: Access, path: &Path) -> Fault {
    if access.user || access.execute || !TPM_FRAMES.contains(&path.frame()) {
        return foreign(access);
    }
    Fault::Device { address: path.frame() * PAGE_BYTES + address % PAGE_BYTES, write: access.write }
}

/// The page of the guest's memory that the stub sees at an address, if there is one.
pub(crate) fn seen_by_stub(memory: &impl Memory, address: u64) -> Option<Shown> {
    let page = u32::try_from(address.checked_sub(stub::MEMORY)? / PAGE_BYTES).ok()?;
    (page < memory.pages()).then_some(Shown { page: Page::Ram(page), write: true, execute: false })
}

/// The page of the stub at an address, if there is one.
pub(crate) fn shown_of_stub(memory: &impl Memory, address: u64, information: u64) -> Option<Shown> {
    match address.checked_sub(stub::ADDRESS)? / PAGE_BYTES {
        0 => Some(Shown { page: page_of(memory, information / PAGE_BYTES)?, write: true, execute: false }),
        1 => Some(Shown { page: Page::Shared(stub::WORDS), write: true, execute: false }),
        2 => Some(Shown { page: Page::Shared(stub::CODE), write: false, execute: true }),
        _ => None,
    }
}
