//! What the prober has, and how it runs a program as its guest.
#![allow(unsafe_code, reason = "the prober asks for what no program may")]

use core::fmt;

use cloison_abi::{
    CallError, CallNumber,
    guest::{GuestHalf, GuestMapEntry, GuestRegisters},
    info::{GUEST_FRAME, GUEST_NUMBERS, GUEST_RAM},
    limits::PAGE_BYTES,
};
use cloison_rt::sys::{
    Instant, Slot, any_call,
    guest::{Exit, Guest},
    info,
    memory::SharedMemory,
};
use watcher_api::watch;

use crate::blob::Blob;

/// Where the guest sees its program, which it can execute; pages that it can write; its stack.
pub(crate) const CODE: u64 = 0x10_0000;
pub(crate) const DATA: u64 = 0x20_0000;
pub(crate) const STACK: u64 = 0x30_0000;
/// The pages of its memory that it sees there.
pub(crate) const CODE_PAGE: u32 = 0;
pub(crate) const DATA_PAGE: u32 = 1;
pub(crate) const STACK_PAGE: u32 = 2;
/// Its regions, by their numbers: its own memory, what it shares with this domain, what it only reads.
pub(crate) const RAM: u8 = 0;
pub(crate) const SHARED: u8 = 1;
pub(crate) const NUMBERS: u8 = 2;

/// What an act found that should not be.
pub(crate) enum Wrong {
    /// A call was refused.
    Refused(CallError),
    /// The guest came out otherwise.
    Exit(Exit),
    /// A number is another one: what, what it is, what it should be.
    Differs(&'static str, u64, u64),
    /// Something else.
    Said(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(out, "refused: {error}"),
            Self::Exit(exit) => write!(out, "the guest came out with {exit:x?}"),
            Self::Differs(what, is, should) => write!(out, "{what} is {is:#x} and should be {should:#x}"),
            Self::Said(what) => out.write_str(what),
        }
    }
}

impl From<CallError> for Wrong {
    fn from(error: CallError) -> Self {
        Self::Refused(error)
    }
}

pub(crate) type Found<T = ()> = Result<T, Wrong>;

/// Checks a number.
pub(crate) fn is(what: &'static str, is: u64, should: u64) -> Found {
    if is == should { Ok(()) } else { Err(Wrong::Differs(what, is, should)) }
}

/// Checks that a call was refused, and why.
pub(crate) fn refused<T>(answer: Result<T, CallError>, why: CallError) -> Found {
    match answer {
        Err(error) if error == why => Ok(()),
        Err(error) => Err(Wrong::Refused(error)),
        Ok(_) => Err(Wrong::Said("it was not refused")),
    }
}

/// Checks why the guest came out.
pub(crate) fn came_out(exit: Exit, expected: Exit) -> Found {
    if exit == expected { Ok(()) } else { Err(Wrong::Exit(exit)) }
}

/// A trap that has no address.
pub(crate) const fn trap(vector: u8, code: u64) -> Exit {
    Exit::Trap { vector, code, address: 0 }
}

/// A page fault.
pub(crate) const fn page_fault(code: u64, address: u64) -> Exit {
    Exit::Trap { vector: 14, code, address }
}

/// The prober's surroundings.
pub(crate) struct World {
    pub(crate) watcher: watch::Client,
    /// The page that it shares with the watcher.
    pub(crate) page: SharedMemory,
    pub(crate) guest: Guest,
    /// The slot that holds the guest.
    pub(crate) slot: Slot,
    pub(crate) ram: SharedMemory,
    pub(crate) numbers: SharedMemory,
    /// Events by which the waker and its like wake.
    pub(crate) wake: u64,
}

impl World {
    pub(crate) fn look_around() -> Option<Self> {
        let page = info::get();
        let watch = page.find::<info::Use>("watch")?;
        let memory = |name| SharedMemory::of_guest(page.find(name)?);
        let (slot, frame) = (page.guest()?, memory(GUEST_FRAME)?);
        Some(Self {
            watcher: watch::Client::new(info::slot(watch)?),
            page: SharedMemory::of(watch)?,
            guest: Guest::new(slot, frame),
            slot,
            ram: memory(GUEST_RAM)?,
            numbers: memory(GUEST_NUMBERS)?,
            wake: page.clients().fold(0, |events, client| events | info::event_mask(client)),
        })
    }

    /// Ends all spaces, and makes the first one again, with program, data and stack.
    pub(crate) fn begin(&mut self) -> Found {
        for space in (0..cloison_abi::guest::GUEST_SPACES as u8).rev() {
            match self.guest.destroy_space(space) {
                Ok(()) | Err(CallError::BadState) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.space(0)
    }

    /// Makes a space with program, data and stack.
    pub(crate) fn space(&mut self, space: u8) -> Found {
        self.guest.create_space(space)?;
        self.guest.map(space, CODE, &[readable(CODE_PAGE, GuestMapEntry::EXECUTE)])?;
        self.guest.map(space, DATA, &[readable(DATA_PAGE, GuestMapEntry::WRITE)])?;
        self.guest.map(space, STACK, &[readable(STACK_PAGE, GuestMapEntry::WRITE)])?;
        Ok(())
    }

    /// Registers with which a program begins.
    pub(crate) fn load(&self, blob: Blob) -> GuestRegisters {
        let inside = self.ram.write(0, &blob.bytes());
        debug_assert!(inside, "a page has room for a program");
        GuestRegisters { rip: CODE, rsp: STACK + PAGE_BYTES, ..GuestRegisters::default() }
    }

    /// Runs a program from these registers on until it comes out.
    pub(crate) fn go(&mut self, registers: &GuestRegisters) -> Found<(Exit, GuestRegisters)> {
        self.guest.set_registers(registers);
        self.go_on()
    }

    /// Lets it go on.
    pub(crate) fn go_on(&mut self) -> Found<(Exit, GuestRegisters)> {
        let exit = self.guest.enter(0, GuestHalf::Both, 0, Instant::NEVER)?;
        Ok((exit, self.guest.registers()))
    }

    /// Checks that nothing can run with these registers.
    pub(crate) fn refuses(&mut self, registers: &GuestRegisters) -> Found {
        self.guest.set_registers(registers);
        refused(self.guest.enter(0, GuestHalf::Both, 0, Instant::NEVER), CallError::BadArgument)
    }

    /// Makes a call about the guest with any arguments, which is refused.
    pub(crate) fn call(&self, call: CallNumber, arguments: [u64; 6], why: CallError) -> Found {
        self.any_call(call, arguments, why as i32)
    }

    /// Makes a call about the guest with any arguments, of which this comes.
    pub(crate) fn any_call(&self, call: CallNumber, arguments: [u64; 6], expected: i32) -> Found {
        let rax = u64::from(call as u8) | u64::from(self.slot.0) << 8;
        // SAFETY: a call about a guest changes no memory that this program uses, but the frame page.
        let (status, _) = unsafe { any_call(rax, arguments) };
        if status == expected {
            Ok(())
        } else {
            Err(Wrong::Differs("the answer", status as u64, expected as u64))
        }
    }

    /// Runs a program until it comes out.
    pub(crate) fn run(&mut self, blob: Blob) -> Found<(Exit, GuestRegisters)> {
        let registers = self.load(blob);
        self.go(&registers)
    }
}

/// A page of the guest's memory, with rights beside reading.
pub(crate) fn readable(page: u32, rights: u64) -> GuestMapEntry {
    GuestMapEntry(GuestMapEntry::new(RAM, page).0 | rights)
}

/// How far the prober's own `fs` and `gs` lead away from where they should, and the selectors of its data segments.
pub(crate) fn own_segments() -> (u64, u64) {
    /// Two words of which the first is read.
    static HERE: [u64; 2] = [0, 1];
    let (fs, gs, selectors): (u64, u64, u64);
    // SAFETY: reads registers, and a word of this program's own if the bases are what they should be.
    unsafe {
        core::arch::asm!(
            "mov {fs}, fs:[{here}]",
            "mov {gs}, gs:[{here}]",
            "mov {all:e}, ds",
            "mov {one:e}, es",
            "or {all:e}, {one:e}",
            "mov {one:e}, fs",
            "or {all:e}, {one:e}",
            "mov {one:e}, gs",
            "or {all:e}, {one:e}",
            here = in(reg) &raw const HERE,
            fs = out(reg) fs,
            gs = out(reg) gs,
            all = out(reg) selectors,
            one = out(reg) _,
            options(nostack, readonly),
        );
    }
    (fs | gs, selectors)
}
