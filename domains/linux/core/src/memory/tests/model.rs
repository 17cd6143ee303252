//! A machine that remembers what it shows, and a guest on it whose tables the tests write.

use std::boxed::Box;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use cloison_abi::guest::{GUEST_LOW_END, GUEST_MAP_PAGES, GUEST_SPACES, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;

use crate::machine::{Clerk, Disk, Machine, Memory, Network, NoRoom, Page, Shown, Space, Spaces, Tpm};
use crate::memory::entry::{entry_address, index};
use crate::memory::{Entry, Fault, Paging, code};
use crate::testing::Ram;

pub const UPPER: u64 = 0xffff_8000_0000_0000;
/// Pages of the model's memory: not a multiple of 512.
pub const PAGES: u32 = 300;
/// Pages shared with the shim, as [`Ram`] has them.
pub const SHARED: u32 = crate::stub::CODE + 1;
/// The frame from which on they lie.
pub const SHARED_FRAME: u64 = 512;

pub const P: u64 = Entry::PRESENT;
pub const W: u64 = Entry::WRITE;
pub const U: u64 = Entry::USER;
pub const A: u64 = Entry::ACCESSED;
pub const D: u64 = Entry::DIRTY;
pub const NX: u64 = Entry::NO_EXECUTE;

/// A page of the lower half, one of the upper half, and where the guest's kernel has code.
pub const LOW: u64 = 0x40_0000;
pub const HIGH: u64 = 0xffff_8880_0000_0000;
pub const TEXT: u64 = 0xffff_ffff_8100_0000;
/// Error codes of accesses by the guest's kernel.
pub const READ: u64 = 0;
pub const WRITE: u64 = code::WRITE;

/// The machine. It refuses with a panic what the kernel would refuse.
pub struct Model {
    pub ram: Ram,
    /// What is shown in the lower half of a space, by page number.
    pub lower: BTreeMap<(Space, u64), Shown>,
    /// What is shown in the upper half.
    pub upper: BTreeMap<u64, Shown>,
    pub live: BTreeSet<Space>,
    /// Tables that may be in use at one time.
    pub room: usize,
    /// Spaces that there may be.
    pub spaces: usize,
    /// Reads so far.
    pub loads: Cell<usize>,
    /// Calls so far that took something back.
    pub unmaps: usize,
}

impl Model {
    pub fn new() -> Self {
        Self {
            ram: Ram::new(PAGES),
            lower: BTreeMap::new(),
            upper: BTreeMap::new(),
            live: BTreeSet::new(),
            room: usize::MAX,
            spaces: GUEST_SPACES,
            loads: Cell::new(0),
            unmaps: 0,
        }
    }

    pub fn shown(&self, space: Space, address: u64) -> Option<Shown> {
        let page = address / PAGE_BYTES;
        if address < UPPER { self.lower.get(&(space, page)) } else { self.upper.get(&page) }.copied()
    }

    fn tables(&self) -> usize {
        let lower: BTreeSet<_> = self.lower.keys().map(|(space, page)| (*space, page / 512)).collect();
        let upper: BTreeSet<_> = self.upper.keys().map(|page| page / 512).collect();
        lower.len() + upper.len()
    }
}

/// Whether the kernel shows anything there: section *checks* of its rules for guests.
fn is_allowed(address: u64) -> bool {
    let slot = address >> 39 & 511;
    match address >> 47 {
        0 => address < GUEST_LOW_END,
        0x1_ffff => !(264..=271).contains(&slot),
        _ => false,
    }
}

impl Memory for Model {
    fn pages(&self) -> u32 {
        self.ram.pages()
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        self.loads.set(self.loads.get() + 1);
        self.ram.read(at, into)
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        self.ram.write(at, from)
    }
}

impl Spaces for Model {
    fn create(&mut self, space: Space) -> Result<(), NoRoom> {
        assert!(
            usize::from(space.0) < GUEST_SPACES && !self.live.contains(&space),
            "{space:?} is made twice"
        );
        if self.live.len() == self.spaces {
            return Err(NoRoom);
        }
        self.live.insert(space);
        Ok(())
    }

    fn destroy(&mut self, space: Space) {
        assert!(space != Space(0) && self.live.remove(&space), "{space:?} is no space to end");
        self.lower.retain(|(of, _), _| *of != space);
    }

    fn map(&mut self, space: Space, at: u64, pages: &[Option<Shown>]) -> Result<(), NoRoom> {
        assert!(self.live.contains(&space), "{space:?} is not there");
        assert!(at < UPPER || space == Space(0), "the upper half is the first space's");
        assert!(at.is_multiple_of(PAGE_BYTES) && (1..=GUEST_MAP_PAGES).contains(&pages.len()));
        for (number, page) in pages.iter().enumerate() {
            let Some(shown) = page else { continue };
            let address = at + number as u64 * PAGE_BYTES;
            assert!(is_allowed(address), "{address:#x} is not the guest's");
            match shown.page {
                Page::Ram(page) => assert!(page < PAGES),
                Page::Shared(page) => assert!(page < SHARED),
                Page::MachineToPhysical(page) => assert!(page < 2 && !shown.write),
            }
            let before = self.shown(space, address);
            if address < UPPER {
                self.lower.insert((space, address / PAGE_BYTES), *shown);
            } else {
                self.upper.insert(address / PAGE_BYTES, *shown);
            }
            if before.is_none() && self.tables() > self.room {
                self.unmap(space, address, 1);
                return Err(NoRoom);
            }
        }
        Ok(())
    }

    fn unmap(&mut self, space: Space, at: u64, pages: u64) {
        assert!(self.live.contains(&space), "{space:?} is not there");
        assert!(at < UPPER || space == Space(0), "the upper half is the first space's");
        assert!(at.is_multiple_of(PAGE_BYTES) && pages > 0);
        let last = at + (pages - 1) * PAGE_BYTES;
        assert!(is_allowed(at) && is_allowed(last), "{at:#x} to {last:#x} are not all the guest's");
        self.unmaps += 1;
        let range = at / PAGE_BYTES..at / PAGE_BYTES + pages;
        if at < UPPER {
            self.lower.retain(|(of, page), _| *of != space || !range.contains(page));
        } else {
            self.upper.retain(|page, _| !range.contains(page));
        }
    }
}

impl Disk for Model {}

impl Network for Model {}

impl Tpm for Model {}

impl Clerk for Model {}

impl Machine for Model {
    fn ticks(&self) -> u64 {
        0
    }

    fn frequency(&self) -> u64 {
        1
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn cpuid(&self, _: u32, _: u32) -> [u32; 4] {
        [0; 4]
    }

    fn print(&mut self, _: &[u8]) {}
}

/// A guest whose tables the test writes straight to memory, as Linux writes those that it has not handed over yet.
pub struct Guest {
    pub model: Model,
    pub paging: Box<Paging>,
    pub registers: GuestRegisters,
    next: u32,
}

impl Guest {
    /// With an empty root, frame 1, in use.
    pub fn new() -> Self {
        let mut guest = Self {
            model: Model::new(),
            paging: Box::new(Paging::new()),
            registers: GuestRegisters::default(),
            next: 2,
        };
        guest.paging.start(&mut guest.model, 1).unwrap();
        guest
    }

    /// A frame that nothing uses.
    pub fn frame(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// Writes the entry for an address below a root; tables are made on the way. Returns the address of the entry.
    pub fn set(&mut self, root: u32, address: u64, entry: Entry) -> u64 {
        let mut table = root;
        for level in (2..=4).rev() {
            let at = entry_address(table, index(address, level));
            let mut next = Entry(self.model.load(at).unwrap());
            if !next.has(P) {
                next = Entry::new(self.frame().into(), P | W | U);
                self.model.store(at, next.0).unwrap();
            }
            table = next.frame() as u32;
        }
        let at = entry_address(table, index(address, 1));
        self.model.store(at, entry.0).unwrap();
        at
    }

    /// Maps a frame of its own, not used yet. Returns the frame.
    pub fn map(&mut self, root: u32, address: u64, bits: u64) -> u32 {
        let frame = self.frame();
        self.set(root, address, Entry::new(frame.into(), bits));
        frame
    }

    /// The entry of an address.
    pub fn entry(&self, root: u32, address: u64) -> Entry {
        super::super::walk(&self.model, root, address).unwrap().entries[0]
    }

    pub fn fault(&mut self, address: u64, code: u64) -> Fault {
        self.paging.fault(&mut self.model, address, code, &mut self.registers)
    }

    /// What is shown in the space in use.
    pub fn shown(&self, address: u64) -> Option<Shown> {
        self.model.shown(self.paging.current().0, address)
    }

    /// Names a root for user programs that has the same lower half.
    pub fn user_root(&mut self, kernel: u32) -> u32 {
        let user = self.frame();
        for at in 0..256 {
            let entry = self.model.load(entry_address(kernel, at)).unwrap();
            self.model.store(entry_address(user, at), entry).unwrap();
        }
        user
    }

    /// All that is shown in the space in use, by address.
    pub fn all(&self) -> Vec<(u64, Shown)> {
        let space = self.paging.current().0;
        let lower = self.model.lower.iter().filter(|((of, _), _)| *of == space);
        let lower = lower.map(|((_, page), shown)| (page * PAGE_BYTES, *shown));
        lower.chain(self.model.upper.iter().map(|(page, shown)| (page * PAGE_BYTES, *shown))).collect()
    }
}
