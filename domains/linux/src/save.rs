//! Where a guest is saved: memory that the guest does not see, and that stays when this domain is restarted.
//!
//! First comes a page that says whether there is a guest, and since when; then what the core has of it; then what the guest
//! sees.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use cloison_abi::guest::GuestRegisters;
use cloison_abi::info::GUEST_SAVED;
use cloison_abi::limits::PAGE_BYTES;
use cloison_rt::sys::{Instant, memory::SharedMemory};
use linux_core::guest::{Guest, Vectors};
use linux_core::saved::{Carrier, CutShort, STATE_BYTES};

use crate::Watch;
use crate::place::{self, Place};

/// Says that a whole guest is there.
const WHOLE: u64 = u64::from_le_bytes(*b"a guest\n");
/// Where what the core has of the guest begins, and where what the guest sees.
const STATE: usize = PAGE_BYTES as usize;
const SEEN: usize = STATE + STATE_BYTES;

/// The memory.
pub struct Save {
    memory: SharedMemory,
    /// [`WHOLE`], or nothing.
    mark: &'static AtomicU64,
    /// The time-stamp counter when the guest was saved.
    since: &'static AtomicU64,
}

/// Why a guest is not saved, or does not go on from there.
pub enum Lost {
    /// The manifest gave no memory for it.
    NoMemory,
    /// The vector registers cannot be moved.
    Vectors,
    /// There is too little room, or what is there is no guest.
    CutShort,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "the manifest does not say `saves = true`",
            Self::Vectors => "its vector registers cannot be moved",
            Self::CutShort => "its state and the memory for it do not fit",
        })
    }
}

impl From<CutShort> for Lost {
    fn from(CutShort: CutShort) -> Self {
        Self::CutShort
    }
}

impl Save {
    /// The memory, if the manifest gives some.
    pub fn find() -> Option<Self> {
        let memory = SharedMemory::of_guest(place::memory(GUEST_SAVED).ok()?)?;
        Some(Self { memory, mark: memory.atomic_u64(0)?, since: memory.atomic_u64(8)? })
    }

    /// Whether a guest is there.
    pub fn is_whole(&self) -> bool {
        self.mark.load(Ordering::Relaxed) == WHOLE
    }

    /// Saves the guest, which is about to go on with these registers. What was saved before is gone, whatever happens.
    pub fn write(
        &self,
        guest: &mut Guest,
        place: &mut Place<impl Watch>,
        registers: &GuestRegisters,
    ) -> Result<(), Lost> {
        self.mark.store(0, Ordering::Relaxed);
        self.since.store(Instant::now().0, Ordering::Relaxed);
        place.move_vectors(guest, Vectors::Out).ok_or(Lost::Vectors)?;
        guest.save(registers, &mut Writer(self.state()))?;
        place.copy(self.memory, SEEN, true).ok_or(Lost::CutShort)?;
        self.mark.store(WHOLE, Ordering::Relaxed);
        Ok(())
    }

    /// Puts the guest that is there into its memory, which shows nothing yet; returns its registers, and for how many ticks
    /// of the counter it has stood still.
    pub fn read(
        &self,
        guest: &mut Guest,
        place: &mut Place<impl Watch>,
    ) -> Result<(GuestRegisters, u64), Lost> {
        place.copy(self.memory, SEEN, false).ok_or(Lost::CutShort)?;
        let ticks = Instant::now().0.saturating_sub(self.since.load(Ordering::Relaxed));
        let registers = guest.resume(place, ticks, &mut Reader(self.state()))?;
        place.move_vectors(guest, Vectors::In).ok_or(Lost::Vectors)?;
        Ok((registers, ticks))
    }

    fn state(&self) -> State {
        State { memory: self.memory, at: STATE }
    }
}

/// How far a state is written, or read.
struct State {
    memory: SharedMemory,
    at: usize,
}

impl State {
    /// Where the next bytes are.
    fn next(&mut self, bytes: usize) -> Result<usize, CutShort> {
        let at = self.at;
        self.at = at + bytes;
        if self.at <= SEEN { Ok(at) } else { Err(CutShort) }
    }
}

struct Writer(State);

impl Carrier for Writer {
    fn carry(&mut self, bytes: &mut [u8]) -> Result<(), CutShort> {
        let at = self.0.next(bytes.len())?;
        self.0.memory.write(at, bytes).then_some(()).ok_or(CutShort)
    }
}

struct Reader(State);

impl Carrier for Reader {
    fn carry(&mut self, bytes: &mut [u8]) -> Result<(), CutShort> {
        let at = self.0.next(bytes.len())?;
        self.0.memory.read(at, bytes).then_some(()).ok_or(CutShort)
    }
}
