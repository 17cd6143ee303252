//! The place where the guest runs: its memory, its spaces, the time, the log.

use core::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
};

use cloison_abi::{
    CallError,
    guest::{GUEST_SPACES, GuestHalf, GuestMapEntry, GuestRegisters},
    info::{GUEST_FRAME, GUEST_NUMBERS, GUEST_RAM, GUEST_SHARED},
    limits::PAGE_BYTES,
};
use cloison_rt::{
    log,
    sys::{Instant, guest, info, memory::SharedMemory},
    time,
};
use linux_core::guest::{Guest, Vectors};
use linux_core::machine::{
    Clerk, Disk, DiskOperation, Machine, Memory, Network, NoRoom, Page, ROW_WORDS, Row, Shown, Space, Spaces,
    Submission, Tpm,
};

use crate::{Unfit, Watch, clerk::BmiDesk, date, storage::Storage, tpm::TpmService, wire::Wire};

static ZEROES: [u8; PAGE_BYTES as usize] = [0; PAGE_BYTES as usize];

/// Pages that are shown at a time.
const BATCH: usize = 64;

/// Memory that the guest sees, and its number among the regions that are attached to it.
struct Attached {
    memory: SharedMemory,
    number: u32,
}

/// What the manifest gave for the guest.
pub struct Place<W> {
    guest: guest::Guest,
    ram: Attached,
    shared: Attached,
    numbers: Attached,
    wire: Option<Wire>,
    storage: Option<Storage>,
    tpm: Option<TpmService>,
    desk: Option<BmiDesk>,
    hertz: u64,
    /// Who looks on; away only while it does.
    watch: Option<W>,
}

impl<W: Watch> Place<W> {
    /// Finds it.
    ///
    /// # Errors
    /// [`Unfit`]: something is missing.
    pub fn find(watch: W) -> Result<Self, Unfit> {
        let guest = info::get().guest();
        let frame = SharedMemory::of_guest(memory(GUEST_FRAME)?).ok_or(Unfit::Missing(GUEST_FRAME))?;
        let place = Self {
            guest: guest::Guest::new(guest.ok_or(Unfit::Missing("guest"))?, frame),
            ram: attached(GUEST_RAM)?,
            shared: attached(GUEST_SHARED)?,
            numbers: attached(GUEST_NUMBERS)?,
            wire: Wire::open(),
            storage: Storage::open(),
            tpm: TpmService::find(),
            desk: BmiDesk::find(),
            hertz: time::hertz(),
            watch: Some(watch),
        };
        place.number_pages();
        Ok(place)
    }

    /// The events of the guest's port and of its disk.
    pub fn events(&self) -> u64 {
        self.wire.as_ref().map_or(0, Wire::event) | self.storage.as_ref().map_or(0, Storage::events)
    }

    /// When to look again, whatever comes before.
    pub fn deadline(&self) -> Option<Instant> {
        self.storage.as_ref().and_then(Storage::deadline)
    }

    /// Before the guest goes on, or waits: see [`Wire::settle`].
    pub fn settle(&mut self) -> bool {
        self.wire.as_mut().is_some_and(Wire::settle)
    }

    /// The guest has come out: who looks on has its turn.
    pub fn look(&mut self, guest: &Guest) {
        if let Some(mut watch) = self.watch.take() {
            watch.look(guest, self);
            self.watch = Some(watch);
        }
    }

    /// Makes all as it was before the guest began.
    pub fn clear(&mut self) {
        (0..GUEST_SPACES as u8).rev().for_each(|space| self.destroy(Space(space)));
        for memory in [self.ram.memory, self.shared.memory] {
            for page in 0..memory.len() / ZEROES.len() {
                // Both are whole pages.
                let _ = memory.write(page * ZEROES.len(), &ZEROES);
            }
        }
        if let Some(storage) = &mut self.storage {
            storage.reset();
        }
        if let Some(desk) = &mut self.desk {
            desk.reset();
        }
    }

    /// Copies all that the guest sees into other memory, or back.
    pub fn copy(&mut self, other: SharedMemory, offset: usize, out: bool) -> Option<()> {
        let mut page = [0; PAGE_BYTES as usize];
        let mut at = offset;
        for memory in [self.ram.memory, self.shared.memory] {
            for own in (0..memory.len()).step_by(page.len()) {
                let (from, to) =
                    if out { ((memory, own), (other, at)) } else { ((other, at), (memory, own)) };
                (from.0.read(from.1, &mut page) && to.0.write(to.1, &page)).then_some(())?;
                at += page.len();
            }
        }
        Some(())
    }

    /// Has the guest move its vector registers.
    pub fn move_vectors(&mut self, of: &Guest, which: Vectors) -> Option<()> {
        let mut registers = of.move_vectors(self, which).ok()?;
        let place = (of.place().0, GuestHalf::Both);
        let exit = self.enter(&mut registers, (place, false), 0, Instant::NEVER).ok()?;
        matches!(exit, guest::Exit::Call).then_some(())
    }

    /// Writes the table in which the guest finds the number of each of its pages: here each stands for itself.
    fn number_pages(&self) {
        for number in 0..self.numbers.memory.len() / size_of::<u64>() {
            // The word is in the table.
            let _ = self.numbers.memory.write(number * size_of::<u64>(), &(number as u64).to_le_bytes());
        }
    }

    /// Runs the guest until it comes out.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn enter(
        &mut self,
        registers: &mut GuestRegisters,
        ((space, half), switches): ((Space, GuestHalf), bool),
        events: u64,
        deadline: Instant,
    ) -> Result<guest::Exit, CallError> {
        self.guest.set_registers(registers);
        let exit = self.guest.enter_as(space.0, half, switches, events, deadline)?;
        self.guest.read_registers(registers);
        Ok(exit)
    }

    /// An aligned word. Nearly all that are asked for are of page tables.
    #[inline]
    fn word(&self, at: u64) -> Option<&'static AtomicU64> {
        self.ram.memory.atomic_u64(at as usize).or_else(|| {
            let offset = at.checked_sub(self.shared_address())?;
            self.shared.memory.atomic_u64(offset as usize)
        })
    }

    /// A word that is not aligned, or is not there.
    #[cold]
    #[inline(never)]
    fn load_bytes(&self, at: u64) -> Option<u64> {
        let mut bytes = [0; size_of::<u64>()];
        self.read(at, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Where an address of the guest lies.
    fn find_bytes(&self, at: u64, length: usize) -> Option<(SharedMemory, usize)> {
        let ram = self.ram.memory;
        if at < ram.len() as u64 {
            return Some((ram, at as usize));
        }
        let offset = at.checked_sub(self.shared_address())?;
        let inside = offset.checked_add(length as u64)? <= self.shared.memory.len() as u64;
        inside.then_some((self.shared.memory, offset as usize))
    }

    fn map_entry(&self, shown: Option<Shown>) -> GuestMapEntry {
        let Some(Shown { page, write, execute }) = shown else { return GuestMapEntry::SKIP };
        let (region, page) = match page {
            Page::Ram(page) => (self.ram.number, page),
            Page::Shared(page) => (self.shared.number, page),
            Page::MachineToPhysical(page) => (self.numbers.number, page),
        };
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        GuestMapEntry(
            u64::from(page)
                | (u64::from(region) << GuestMapEntry::REGION_SHIFT)
                | flag(write, GuestMapEntry::WRITE)
                | flag(execute, GuestMapEntry::EXECUTE),
        )
    }
}

impl<W: Watch> Memory for Place<W> {
    fn pages(&self) -> u32 {
        (self.ram.memory.len() as u64 / PAGE_BYTES) as u32
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        let (memory, offset) = self.find_bytes(at, into.len())?;
        memory.read(offset, into).then_some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        let (memory, offset) = self.find_bytes(at, from.len())?;
        memory.write(offset, from).then_some(())
    }

    #[inline]
    fn load(&self, at: u64) -> Option<u64> {
        match self.word(at) {
            Some(word) => Some(word.load(Relaxed)),
            None => self.load_bytes(at),
        }
    }

    #[inline]
    fn store(&mut self, at: u64, value: u64) -> Option<()> {
        match self.word(at) {
            Some(word) => word.store(value, Relaxed),
            None => self.write(at, &value.to_le_bytes())?,
        }
        Some(())
    }

    fn load_row(&self, at: u64, row: &mut Row) -> Option<()> {
        let words = self.ram.memory.words::<ROW_WORDS>(at as usize)?;
        row.iter_mut().zip(words).for_each(|(to, word)| *to = word.load(Relaxed));
        Some(())
    }
}

impl<W: Watch> Spaces for Place<W> {
    fn create(&mut self, space: Space) -> Result<(), NoRoom> {
        self.guest.create_space(space.0).map_err(|_| NoRoom)
    }

    fn destroy(&mut self, space: Space) {
        // It goes, or there is none.
        let _ = self.guest.destroy_space(space.0);
        if let Some(watch) = &mut self.watch {
            watch.ended(space);
        }
    }

    fn map(&mut self, space: Space, at: u64, pages: &[Option<Shown>]) -> Result<(), NoRoom> {
        let mut at = at;
        for part in pages.chunks(BATCH) {
            let mut entries = [GuestMapEntry::SKIP; BATCH];
            entries.iter_mut().zip(part).for_each(|(entry, shown)| *entry = self.map_entry(*shown));
            // Some of them may be shown where there is no room for all.
            if let Some(watch) = &mut self.watch {
                watch.shown(space, at, part);
            }
            self.guest.map(space.0, at, &entries[..part.len()]).map_err(|_| NoRoom)?;
            at += part.len() as u64 * PAGE_BYTES;
        }
        Ok(())
    }

    fn unmap(&mut self, space: Space, at: u64, pages: u64) {
        let hidden = self.guest.unmap(space.0, at, pages);
        // Else the guest would see what it has no more.
        hidden.expect("pages of a guest's space can be hidden");
        if let Some(watch) = &mut self.watch {
            watch.hidden(space, at, pages);
        }
    }

    fn lead(&mut self, words: Page, [call, back, site]: [u64; 3], numbers: u64) -> bool {
        let words = self.map_entry(Some(Shown { page: words, write: true, execute: false }));
        self.guest.lead(words, guest::Lead { call, back, site, numbers }).is_ok()
    }
}

impl<W: Watch> Disk for Place<W> {
    fn sectors(&self) -> u64 {
        self.storage.as_ref().map_or(0, Storage::sectors)
    }

    fn is_read_only(&self) -> bool {
        self.storage.as_ref().is_none_or(Storage::is_read_only)
    }

    fn take_place(&mut self) -> Option<usize> {
        self.storage.as_mut()?.take_place()
    }

    fn fill_place(&mut self, place: usize, at: usize, from: &[u8]) {
        if let Some(storage) = &mut self.storage {
            storage.fill(place, at, from);
        }
    }

    fn read_place(&mut self, place: usize, at: usize, into: &mut [u8]) {
        if let Some(storage) = &mut self.storage {
            storage.read(place, at, into);
        }
    }

    fn begin(&mut self, place: usize, operation: DiskOperation, first: u64, sectors: u8) {
        if let Some(storage) = &mut self.storage {
            storage.begin(place, operation, first, sectors);
        }
    }

    fn next_ended(&mut self) -> Option<(usize, bool)> {
        self.storage.as_mut()?.next_ended()
    }

    fn release_place(&mut self, place: usize) {
        if let Some(storage) = &mut self.storage {
            storage.release(place);
        }
    }
}

impl<W: Watch> Network for Place<W> {
    fn mac(&self) -> Option<[u8; 6]> {
        self.wire.as_ref().map(Wire::mac)
    }

    fn has_room(&mut self) -> bool {
        self.wire.as_mut().is_some_and(Wire::has_room)
    }

    fn send(&mut self, frame: &[u8]) {
        if let Some(wire) = &mut self.wire {
            wire.send(frame);
        }
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        self.wire.as_mut()?.receive(into)
    }
}

impl<W: Watch> Tpm for Place<W> {
    fn has_tpm(&self) -> bool {
        self.tpm.is_some()
    }

    fn submit(&mut self, command: &[u8]) -> Submission {
        self.tpm.as_mut().map_or(Submission::Lost, |tpm| tpm.submit(command))
    }

    fn finish(&mut self, response: &mut [u8]) -> Poll<Option<usize>> {
        self.tpm.as_mut().map_or(Poll::Ready(None), |tpm| tpm.finish(response))
    }

    fn cancel(&mut self) {
        if let Some(tpm) = &mut self.tpm {
            tpm.cancel();
        }
    }
}

impl<W: Watch> Clerk for Place<W> {
    fn has_clerk(&self) -> bool {
        self.desk.is_some()
    }

    fn hear(&mut self, text: &[u8]) {
        if let Some(desk) = &mut self.desk {
            desk.hear(text);
        }
    }

    fn says(&self) -> &[u8] {
        self.desk.as_ref().map_or(&[], BmiDesk::says)
    }

    fn said(&mut self, bytes: usize) {
        if let Some(desk) = &mut self.desk {
            desk.said(bytes);
        }
    }
}

impl<W: Watch> Machine for Place<W> {
    fn ticks(&self) -> u64 {
        Instant::now().0
    }

    fn frequency(&self) -> u64 {
        self.hertz
    }

    fn epoch(&self) -> u64 {
        date::of_counters_start(self.hertz)
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let answer = core::arch::x86_64::__cpuid_count(leaf, subleaf);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    }

    fn print(&mut self, text: &[u8]) {
        log::text(text);
    }
}

/// Where the plan has put memory of the guest.
pub fn memory(name: &'static str) -> Result<&'static info::GuestMemory, Unfit> {
    info::get().find::<info::GuestMemory>(name).ok_or(Unfit::Missing(name))
}

fn attached(name: &'static str) -> Result<Attached, Unfit> {
    let told = memory(name)?;
    let memory = SharedMemory::of_guest(told).ok_or(Unfit::Missing(name))?;
    Ok(Attached { memory, number: told.number })
}
