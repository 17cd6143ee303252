//! A guest of this domain: registers and spaces beside its own, for code that it runs and answers.

use core::{
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use cloison_abi::{
    CallError, CallNumber,
    guest::{
        GUEST_MAP_PAGES, GUEST_SWITCHES, GuestExit, GuestFrame, GuestHalf, GuestMapEntry, GuestRegisters,
        SPACE_CREATE, SPACE_DESTROY, SPACE_SWITCH,
    },
    limits::PAGE_BYTES,
};
use zerocopy::{IntoBytes, transmute_mut, transmute_ref};

use crate::{Instant, Slot, memory::SharedMemory, raw::enter};

/// Words of a guest's registers.
const REGISTERS: usize = size_of::<GuestRegisters>() / size_of::<u64>();

/// A guest, with its frame page.
#[derive(Debug)]
pub struct Guest {
    slot: Slot,
    frame: SharedMemory,
}

/// How the kernel switches the halves of a guest: see [`cloison_abi::guest::GuestSwitch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Where the guest goes on after a call of the lower half.
    pub call: u64,
    /// Where it goes on after a call with both halves and one of the numbers.
    pub back: u64,
    /// Behind which call it returns to the lower half.
    pub site: u64,
    /// The numbers, all below 64: a bit for each.
    pub numbers: u64,
}

/// Why a guest came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It executed `syscall`.
    Call,
    /// It raised an exception.
    Trap {
        /// Which.
        vector: u8,
        /// Its error code; 0 if it has none.
        code: u64,
        /// The address, for a page fault.
        address: u64,
    },
    /// These events are pending for this domain, and are cleared now.
    Events(u64),
    /// The deadline has passed.
    Deadline,
}

impl Guest {
    /// The guest in a slot. `frame` begins with its frame page.
    #[must_use]
    pub fn new(slot: Slot, frame: SharedMemory) -> Self {
        Self { slot, frame }
    }

    /// The registers that it goes on with, or that it had when it came out.
    #[must_use]
    pub fn registers(&self) -> GuestRegisters {
        let mut registers = GuestRegisters::default();
        self.read_registers(&mut registers);
        registers
    }

    /// Reads the same into a place: there are many exits.
    pub fn read_registers(&self, into: &mut GuestRegisters) {
        if let Some(words) = self.words() {
            let into: &mut [u64; REGISTERS] = transmute_mut!(into);
            into.iter_mut().zip(words).for_each(|(into, word)| *into = word.load(Relaxed));
        }
    }

    /// Sets the registers that it goes on with.
    pub fn set_registers(&mut self, registers: &GuestRegisters) {
        if let Some(words) = self.words() {
            let registers: &[u64; REGISTERS] = transmute_ref!(registers);
            words.iter().zip(registers).for_each(|(word, register)| word.store(*register, Relaxed));
        }
    }

    /// The registers, which are in the frame page.
    fn words(&self) -> Option<&'static [AtomicU64; REGISTERS]> {
        self.frame.words(offset_of!(GuestFrame, registers))
    }

    /// Makes a space. Space 0 comes first.
    ///
    /// # Errors
    /// [`CallError::QuotaExceeded`] if no page is left for its tables; [`CallError::BadState`] if it is there, or space 0
    /// is not; [`CallError::BadArgument`].
    pub fn create_space(&mut self, space: u8) -> Result<(), CallError> {
        self.space(SPACE_CREATE, space)
    }

    /// Ends a space. Space 0 goes last.
    ///
    /// # Errors
    /// [`CallError::BadState`] if it is not there, or is space 0 and there are others; [`CallError::BadArgument`].
    pub fn destroy_space(&mut self, space: u8) -> Result<(), CallError> {
        self.space(SPACE_DESTROY, space)
    }

    fn space(&self, what: u64, space: u8) -> Result<(), CallError> {
        enter(CallNumber::GuestSpace, self.slot.0, 0, [what, space.into(), 0, 0, 0, 0]).done()
    }

    /// Shows pages in a row from an address on, in place of what is there.
    ///
    /// # Errors
    /// [`CallError::QuotaExceeded`] if no page is left for a table: some of the pages may be shown then.
    /// [`CallError::BadState`] if there is no such space; [`CallError::BadArgument`] for an address or a page that is not
    /// the guest's; [`CallError::MissingRight`] if the guest may not be let write to it.
    pub fn map(&mut self, space: u8, address: u64, entries: &[GuestMapEntry]) -> Result<(), CallError> {
        let mut at = address;
        for part in entries.chunks(GUEST_MAP_PAGES) {
            let _ = self.frame.write(offset_of!(GuestFrame, entries), part.as_bytes());
            let pages = part.len() as u64;
            enter(CallNumber::GuestMap, self.slot.0, 0, [space.into(), at, pages, 0, 0, 0]).done()?;
            at = at.wrapping_add(pages * PAGE_BYTES);
        }
        Ok(())
    }

    /// Shows nothing any more in `pages` pages from an address on.
    ///
    /// # Errors
    /// [`CallError::BadState`] if there is no such space; [`CallError::BadArgument`] for addresses that are not the
    /// guest's.
    pub fn unmap(&mut self, space: u8, address: u64, pages: u64) -> Result<(), CallError> {
        enter(CallNumber::GuestUnmap, self.slot.0, 0, [space.into(), address, pages, 0, 0, 0]).done()
    }

    /// Lets the kernel switch halves for the guest from now on, whenever it is entered so.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] for addresses that are none, and a page that is not the guest's;
    /// [`CallError::MissingRight`] if the guest may not write to that.
    pub fn lead(&mut self, words: GuestMapEntry, lead: Lead) -> Result<(), CallError> {
        let Lead { call, back, site, numbers } = lead;
        let arguments = [SPACE_SWITCH, words.0, call, back, site, numbers];
        enter(CallNumber::GuestSpace, self.slot.0, 0, arguments).done()
    }

    /// Runs the guest until it comes out: at the latest when one of `events` is pending, or at the deadline.
    ///
    /// # Errors
    /// [`CallError::BadState`] if there is no such space; [`CallError::BadArgument`] for registers with which nothing can
    /// run.
    #[inline(always)]
    pub fn enter(
        &mut self,
        space: u8,
        half: GuestHalf,
        events: u64,
        deadline: Instant,
    ) -> Result<Exit, CallError> {
        self.enter_as(space, half, false, events, deadline)
    }

    /// The same; if `switches`, the kernel switches halves by itself as [`Guest::lead`] has said.
    ///
    /// # Errors
    /// Also [`CallError::BadArgument`] if nobody has said how.
    #[inline(always)]
    pub fn enter_as(
        &mut self,
        space: u8,
        half: GuestHalf,
        switches: bool,
        events: u64,
        deadline: Instant,
    ) -> Result<Exit, CallError> {
        let half = half as u64 | if switches { GUEST_SWITCHES } else { 0 };
        let arguments = [space.into(), half, 0, 0, events, deadline.0];
        let outcome = enter(CallNumber::GuestEnter, self.slot.0, 0, arguments);
        outcome.done()?;
        let [first, second, ..] = outcome.words;
        Ok(match GuestExit::from_number(outcome.status) {
            Some(GuestExit::Call) => Exit::Call,
            Some(GuestExit::Trap) => Exit::Trap { vector: outcome.label as u8, code: first, address: second },
            Some(GuestExit::Events) => Exit::Events(first),
            Some(GuestExit::Deadline) | None => Exit::Deadline,
        })
    }
}
