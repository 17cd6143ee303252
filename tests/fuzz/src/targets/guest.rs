//! A guest that writes to its memory and its registers what it likes, and comes out as it likes: it goes on, waits or ends;
//! when it goes on the kernel can enter it, and it has been shown nothing but its own memory.

use cloison_abi::guest::{GUEST_SPACES, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;
use linux_core::boot::Start;
use linux_core::guest::{Exit, Guest, Next};
use linux_core::machine::{Clerk, Disk, Machine, Memory, Network, NoRoom, Page, Shown, Space, Spaces, Tpm};
use linux_core::memory::is_canonical;

/// Pages of its memory, and those that it shares.
const PAGES: u64 = 64;
const SHARED_PAGES: u64 = 11;
/// Where its kernel sees its memory.
pub(super) const LINEAR: u64 = 0xffff_8880_0000_0000;
/// The root of its page tables; the tables below it follow.
pub(super) const ROOT: u64 = 1;
/// Exits that an input makes at most.
const EXITS: usize = 256;

/// Does what the bytes say: each line is a letter and its operands.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut place = Place::new();
    let mut guest = Box::new(Guest::new());
    let start = Start { registers: GuestRegisters::default(), root: ROOT as u32, console: 6, store: 7 };
    let Ok(mut registers) = guest.start(&mut place, &start) else { return };
    let mut exits = 0;
    while exits < EXITS
        && let Some(what) = input.byte()
    {
        let exit = match what {
            b'm' => {
                let (Some(at), Some(word)) = (input.word(), input.word()) else { return };
                let _ = place.store(at.wrapping_sub(LINEAR), word);
                continue;
            }
            b'r' => {
                let (Some(number), Some(word)) = (input.byte(), input.word()) else { return };
                set(&mut registers, number, word);
                continue;
            }
            b'c' => Exit::Call,
            b't' => {
                let (Some(vector), Some(code), Some(address)) = (input.byte(), input.byte(), input.word())
                else {
                    return;
                };
                Exit::Trap { vector: vector % 32, code: code.into(), address }
            }
            _ => Exit::Pause,
        };
        exits += 1;
        place.ticks += 1000;
        match guest.step(&mut place, exit, &mut registers) {
            Next::Go { .. } => {
                let bases = [registers.rip, registers.fs_base, registers.gs_base, registers.other_gs_base];
                assert!(bases.into_iter().all(is_canonical), "it cannot be entered: {registers:x?}");
                assert!(usize::from(guest.place().0.0) < GUEST_SPACES);
            }
            Next::Wait { .. } => {}
            Next::End(_) | Next::Dead(_) => break,
        }
    }
}

/// Sets a register that the guest can set itself: bases only to addresses.
pub(super) fn set(registers: &mut GuestRegisters, number: u8, word: u64) {
    let r = registers;
    let named = [
        &mut r.rax,
        &mut r.rdi,
        &mut r.rsi,
        &mut r.rdx,
        &mut r.r10,
        &mut r.r8,
        &mut r.rcx,
        &mut r.rsp,
        &mut r.rip,
        &mut r.rflags,
        &mut r.rbx,
        &mut r.fs_base,
        &mut r.gs_base,
    ];
    let number = usize::from(number) % named.len();
    if number < 11 || is_canonical(word) {
        *named.into_iter().nth(number).expect("below their number") = word;
    }
}

/// What is left of an input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A word: eight bytes after a 0, a small number after a 1, else an address of its memory.
    fn word(&mut self) -> Option<u64> {
        match self.byte()? {
            0 => {
                let (word, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Some(u64::from_le_bytes(*word))
            }
            1 => self.byte().map(u64::from),
            page => Some(LINEAR + (u64::from(page) % PAGES) * PAGE_BYTES + u64::from(self.byte()?) * 8),
        }
    }
}

/// The machine: it refuses with a panic what the kernel would refuse.
pub(super) struct Place {
    memory: Vec<u8>,
    shared: Vec<u8>,
    spaces: [bool; GUEST_SPACES],
    ticks: u64,
    has_tpm: bool,
}

impl Place {
    fn new() -> Self {
        let [memory, shared] = [PAGES, SHARED_PAGES].map(|pages| vec![0; (pages * PAGE_BYTES) as usize]);
        let mut place = Self { memory, shared, spaces: [false; GUEST_SPACES], ticks: 0, has_tpm: false };
        for (table, level) in (ROOT..).zip([39, 30, 21]) {
            let slot = table * PAGE_BYTES + (LINEAR >> level & 511) * 8;
            place.store(slot, (table + 1) * PAGE_BYTES + 7).expect("it is memory");
        }
        for frame in 0..PAGES {
            let entry = frame * PAGE_BYTES + 0x67;
            place.store((ROOT + 3) * PAGE_BYTES + frame * 8, entry).expect("it is memory");
        }
        place
    }

    /// One with a TPM that loses each command.
    pub(super) fn with_tpm() -> Self {
        Self { has_tpm: true, ..Self::new() }
    }

    /// Bytes of its memory, which are there.
    pub(super) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        self.find(at, length).expect("it is memory").to_vec()
    }

    fn find(&self, at: u64, length: usize) -> Option<&[u8]> {
        let (bytes, offset) = match at.checked_sub(self.shared_address()) {
            Some(offset) => (&self.shared, offset),
            None => (&self.memory, at),
        };
        bytes.get(usize::try_from(offset).ok()?..)?.get(..length)
    }
}

impl Memory for Place {
    fn pages(&self) -> u32 {
        PAGES as u32
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        into.copy_from_slice(self.find(at, into.len())?);
        Some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        self.find(at, from.len())?;
        let shared = self.shared_address();
        let (bytes, offset) =
            if at < shared { (&mut self.memory, at) } else { (&mut self.shared, at - shared) };
        bytes[offset as usize..][..from.len()].copy_from_slice(from);
        Some(())
    }
}

impl Spaces for Place {
    fn create(&mut self, space: Space) -> Result<(), NoRoom> {
        let is_live = &mut self.spaces[usize::from(space.0)];
        assert!(!*is_live, "{space:?} is made twice");
        *is_live = true;
        Ok(())
    }

    fn destroy(&mut self, space: Space) {
        let is_live = &mut self.spaces[usize::from(space.0)];
        assert!(*is_live && space.0 != 0, "{space:?} cannot end");
        *is_live = false;
    }

    fn map(&mut self, space: Space, at: u64, pages: &[Option<Shown>]) -> Result<(), NoRoom> {
        assert!(self.spaces[usize::from(space.0)] && at.is_multiple_of(PAGE_BYTES));
        for (number, shown) in (0..).zip(pages) {
            let Some(Shown { page, write, .. }) = shown else { continue };
            let address = at + number * PAGE_BYTES;
            let slot = address >> 39 & 511;
            assert!(is_canonical(address) && !(264..=271).contains(&slot), "{address:#x} is the kernel's");
            assert!(address >> 47 != 0 || address < cloison_abi::guest::GUEST_LOW_END);
            match *page {
                Page::Ram(page) => assert!(u64::from(page) < PAGES),
                Page::Shared(page) => assert!(u64::from(page) < SHARED_PAGES),
                Page::MachineToPhysical(_) => assert!(!write),
            }
        }
        Ok(())
    }

    fn unmap(&mut self, space: Space, at: u64, _: u64) {
        assert!(self.spaces[usize::from(space.0)] && at.is_multiple_of(PAGE_BYTES));
    }
}

impl Disk for Place {}
impl Network for Place {}
impl Clerk for Place {}

impl Tpm for Place {
    fn has_tpm(&self) -> bool {
        self.has_tpm
    }
}

impl Machine for Place {
    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn frequency(&self) -> u64 {
        1_000_000_000
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn cpuid(&self, _: u32, _: u32) -> [u32; 4] {
        [u32::MAX; 4]
    }

    fn print(&mut self, _: &[u8]) {}
}
