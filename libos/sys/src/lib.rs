//! Typed system calls.
//!
//! One function a call, with the types that the call is about; [`raw`] is the one place where a domain enters
//! the kernel. A wrapper that adds no type would be noise, so calls that only the builder makes are in
//! [`build`].

#![no_std]

pub mod access;
pub mod build;
pub mod callers;
pub mod dma;
pub mod guest;
pub mod info;
mod kept;
pub mod mapped;
pub mod memory;
pub mod monitor;
pub mod one_way;
pub mod peer;
pub mod random;
mod raw;
pub mod settings;
pub mod window;

use core::fmt;

pub use cloison_abi::Badge;
use cloison_abi::{
    CallError, CallNumber, Name, ObjectKind, Rights,
    call::{LOG_ENDING, NO_DEADLINE, POLL, SystemEnd},
};
pub use kept::KeptSignal;
use raw::{Outcome, enter};

/// Number of a slot in this domain's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u8);

/// A gate message: a label and four words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The kind of message; the interface numbers them.
    pub label: u32,
    /// Its four words; the interface encodes its fields in them.
    pub words: [u64; 4],
}

/// The outcome of [`reply_wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A client's message; the next [`reply_wait`] answers it.
    Message {
        /// Which client: the badge that the plan gave its gate.
        badge: Badge,
        /// The client's message.
        message: Message,
    },
    /// Event bits, now cleared.
    Events(u64),
    /// The deadline passed.
    TimedOut,
}

/// A point in time, in ticks of the time-stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// The instant that never comes: no deadline.
    pub const NEVER: Self = Self(NO_DEADLINE);
    /// Long ago: look, do not wait.
    pub const PAST: Self = Self(POLL);

    /// The present instant, read from the CPU.
    #[must_use]
    pub fn now() -> Self {
        Self(raw::time_stamp())
    }
}

/// The kernel's figures about time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Frequency of the time-stamp counter, in Hz.
    pub hertz: u64,
    /// The counter when the kernel was entered.
    pub kernel_entry: u64,
    /// The counter when the first domain started.
    pub first_domain: u64,
    /// How many ticks of the time between the two were spent waiting for calibration.
    pub calibration: u64,
}

/// One line of the census of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CensusEntry {
    /// Name of the domain that holds the slot.
    pub domain: Name,
    /// Number of the slot in its domain's table.
    pub slot: u8,
    /// The kind of object in it.
    pub kind: ObjectKind,
    /// The rights to it, for a domain or a region.
    pub rights: Rights,
    /// Index of the domain, for [`figures`].
    pub index: u8,
}

impl fmt::Display for CensusEntry {
    /// What the slot holds, and with which rights: `region:rw`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.kind.name())?;
        if !self.rights.is_empty() {
            out.write_str(":")?;
        }
        let held = Rights::LETTERS.iter().filter(|(right, _)| self.rights.contains(*right));
        held.into_iter().try_for_each(|(_, letter)| write!(out, "{letter}"))
    }
}

/// Sends a message through a gate and waits for the answer.
///
/// # Errors
/// [`CallError::PeerFailed`] if the server fails before it answers; any error of the slot.
#[inline]
pub fn call(gate: Slot, message: Message) -> Result<Message, CallError> {
    let [a, b, c, d] = message.words;
    enter(CallNumber::Call, gate.0, message.label, [a, b, c, d, 0, 0]).message()
}

/// Answers the client being served, if any, and waits for the next message, for an event in `events`, or for
/// the deadline.
#[inline]
pub fn reply_wait(reply: Message, events: u64, deadline: Instant) -> Received {
    let [a, b, c, d] = reply.words;
    let outcome = enter(CallNumber::ReplyWait, 0, reply.label, [a, b, c, d, events, deadline.0]);
    outcome.received().unwrap_or(Received::TimedOut)
}

/// Waits for one of the events in `events`, or for the deadline. Returns the bits, cleared; 0 if the deadline
/// passed.
#[inline]
pub fn wait(events: u64, deadline: Instant) -> u64 {
    let outcome = enter(CallNumber::Wait, 0, 0, [0, 0, 0, 0, events, deadline.0]);
    if outcome.status < 0 { 0 } else { outcome.words[0] }
}

/// Sets the event bit that the slot names.
///
/// # Errors
/// Any error of the slot; [`CallError::PeerFailed`] if the other domain has ended.
#[inline]
pub fn signal(event: Slot) -> Result<(), CallError> {
    enter(CallNumber::Signal, event.0, 0, [0; 6]).done()
}

/// Writes text to the kernel's debug output, 32 bytes a call.
pub fn debug_write(text: &[u8]) {
    for chunk in text.chunks(32) {
        let [a, b, c, d] = pack(chunk);
        enter(CallNumber::DebugWrite, 0, chunk.len() as u32, [a, b, c, d, 0, 0]);
    }
}

/// Puts at most 32 bytes into message words.
#[must_use]
pub fn pack(bytes: &[u8]) -> [u64; 4] {
    let mut padded = [0; 32];
    let length = bytes.len().min(32);
    padded[..length].copy_from_slice(&bytes[..length]);
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(padded.chunks_exact(8)) {
        *word = chunk.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    }
    words
}

/// The bytes that [`pack`] put into words.
#[must_use]
pub fn unpack(words: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Gives up this domain's priority, which has no limit, for the lowest one and a small budget.
///
/// # Errors
/// [`CallError::BadState`] if it has a limit.
pub fn retire() -> Result<(), CallError> {
    enter(CallNumber::Retire, 0, 0, [0; 6]).done()
}

/// Ends this domain with a code; 0 is success.
pub fn exit(code: u64) -> ! {
    loop {
        enter(CallNumber::Exit, 0, 0, [code, 0, 0, 0, 0, 0]);
    }
}

/// Faults by choice, after a panic at a source line.
pub fn panic(line: u32) -> ! {
    loop {
        enter(CallNumber::Panic, 0, 0, [line.into(), 0, 0, 0, 0, 0]);
    }
}

/// What the kernel knows of time.
#[must_use]
pub fn clock() -> Clock {
    let [hertz, kernel_entry, first_domain, calibration] = enter(CallNumber::Clock, 0, 0, [0; 6]).words;
    Clock { hertz, kernel_entry, first_domain, calibration }
}

/// Maps pages of a region into this domain, where nothing is mapped yet.
///
/// # Errors
/// [`CallError::Overlap`], [`CallError::QuotaExceeded`], [`CallError::MissingRight`],
/// [`CallError::BadArgument`].
pub fn region_map(
    region: Slot,
    address: u64,
    first_page: u64,
    pages: u64,
    rights: Rights,
) -> Result<(), CallError> {
    enter(CallNumber::RegionMap, region.0, 0, [address, first_page, pages, rights.bits().into(), 0, 0]).done()
}

/// Removes the mapping that starts at `address`.
///
/// # Safety
/// Nothing may use the memory behind the mapping any more.
///
/// # Errors
/// [`CallError::BadArgument`] if no mapping starts there.
#[allow(unsafe_code, reason = "declares an unsafe function; the call itself is safe")]
pub unsafe fn region_unmap(address: u64) -> Result<(), CallError> {
    enter(CallNumber::RegionUnmap, 0, 0, [address, 0, 0, 0, 0, 0]).done()
}

/// Gives a region to the server of a gate. Returns the slot in the server's table, for the server to be told.
///
/// # Errors
/// [`CallError::SlotTaken`] if this gate's places there are used up; [`CallError::MissingRight`] without
/// `GRANT`.
pub fn region_grant(region: Slot, gate: Slot, rights: Rights) -> Result<Slot, CallError> {
    let args = [gate.0.into(), rights.bits().into(), 0, 0, 0, 0];
    let outcome = enter(CallNumber::RegionGrant, region.0, 0, args);
    outcome.done().map(|()| Slot(outcome.words[0] as u8))
}

/// Takes a region back from every domain to which it was lent.
///
/// # Errors
/// [`CallError::MissingRight`] without `GRANT`.
pub fn region_revoke(region: Slot) -> Result<(), CallError> {
    enter(CallNumber::RegionRevoke, region.0, 0, [0; 6]).done()
}

/// What the kernel says of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// Length in pages.
    pub pages: u64,
    /// The rights that the slot holds to it.
    pub rights: Rights,
    /// Its physical address, for a device; 0 without the right [`Rights::DMA`].
    pub physical_address: u64,
}

/// Asks about a region.
///
/// # Errors
/// Any error of the slot.
pub fn region_info(region: Slot) -> Result<RegionInfo, CallError> {
    let outcome = enter(CallNumber::RegionInfo, region.0, 0, [0; 6]);
    let [pages, rights, physical_address, _] = outcome.words;
    let rights = Rights::from_bits_truncate(rights as u32);
    outcome.done().map(|()| RegionInfo { pages, rights, physical_address })
}

/// What a device has to write, and where, to make an interrupt that is signalled by message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptMessage {
    /// Where the device writes.
    pub address: u64,
    /// The value that it writes to signal.
    pub data: u32,
}

/// Lets an interrupt arrive again. Returns what the device has to write, if it signals by message.
///
/// # Errors
/// Any error of the slot.
pub fn interrupt_acknowledge(interrupt: Slot) -> Result<Option<InterruptMessage>, CallError> {
    let outcome = enter(CallNumber::InterruptAcknowledge, interrupt.0, 0, [0; 6]);
    let [address, data, ..] = outcome.words;
    outcome.done().map(|()| (address != 0).then_some(InterruptMessage { address, data: data as u32 }))
}

/// Empties a slot.
///
/// # Errors
/// [`CallError::BadSlot`] if it is empty.
pub fn slot_drop(slot: Slot) -> Result<(), CallError> {
    enter(CallNumber::SlotDrop, slot.0, 0, [0; 6]).done()
}

/// Gives up rights to the domain or region in a slot: only those in `kept` stay.
///
/// # Errors
/// [`CallError::BadSlot`] if it is empty, [`CallError::WrongType`] if it holds something else.
pub fn slot_limit(slot: Slot, kept: Rights) -> Result<(), CallError> {
    enter(CallNumber::SlotLimit, slot.0, 0, [kept.bits().into(), 0, 0, 0, 0, 0]).done()
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotInfo {
    /// The type of the object.
    pub kind: ObjectKind,
    /// The rights to it, for a domain or a region.
    pub rights: Rights,
    /// How many lives of the domain that it leads to have ended, if it leads to one.
    pub lives_ended: u64,
    /// Whether that domain lives.
    pub is_alive: bool,
}

/// Asks what a slot holds.
///
/// # Errors
/// [`CallError::BadSlot`] if it is empty.
pub fn slot_info(slot: Slot) -> Result<SlotInfo, CallError> {
    let outcome = enter(CallNumber::SlotInfo, slot.0, 0, [0; 6]);
    outcome.done()?;
    let [kind, rights, lives_ended, is_alive] = outcome.words;
    let kind = ObjectKind::from_number(kind as u32).unwrap_or(ObjectKind::Empty);
    let rights = Rights::from_bits_truncate(rights as u32);
    Ok(SlotInfo { kind, rights, lives_ended, is_alive: is_alive != 0 })
}

/// The outcome of [`log_read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRead {
    /// Bytes of the kernel's log, and how many of them count.
    Bytes([u8; 32], usize),
    /// No more for now.
    Empty,
    /// No more, and the system is about to end: bring out what is left, then read again, which ends it.
    Ending,
}

/// Reads from the kernel's log.
///
/// # Errors
/// Any error of the slot.
pub fn log_read(right: Slot) -> Result<LogRead, CallError> {
    let outcome = enter(CallNumber::LogRead, right.0, 0, [0; 6]);
    outcome.done().map(|()| match (outcome.status, outcome.label) {
        (LOG_ENDING, _) => LogRead::Ending,
        (_, 0) => LogRead::Empty,
        (_, length) => LogRead::Bytes(unpack(outcome.words), (length as usize).min(32)),
    })
}

/// Reads the census entry at `cursor` (0 at first). Returns it and the next cursor; `None` at the end.
///
/// # Errors
/// Any error of the slot.
pub fn census_read(right: Slot, cursor: u64) -> Result<Option<(CensusEntry, u64)>, CallError> {
    let outcome = enter(CallNumber::CensusRead, right.0, 0, [cursor, 0, 0, 0, 0, 0]);
    outcome.done()?;
    let [next, packed, name_low, name_high] = outcome.words;
    if next == 0 {
        return Ok(None);
    }
    let kind = ObjectKind::from_number((packed >> 32) as u32).unwrap_or(ObjectKind::Empty);
    let domain = Name::from_words([name_low, name_high]);
    let (index, slot) = (packed as u8, (packed >> 8) as u8);
    let rights = Rights::from_bits_truncate((packed >> 16) as u32 & 0xffff);
    Ok(Some((CensusEntry { domain, slot, kind, rights, index }, next)))
}

/// How much of what the kernel keeps for a domain is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Pages of its quota that are page tables.
    pub table_pages: u64,
    /// Mappings in use; `MAX_MAPPINGS` is the limit.
    pub mappings: u64,
    /// Slots that are filled.
    pub slots: u64,
    /// Events that have arrived and that it has not taken yet.
    pub events: u64,
}

/// Reads the figures of the domain with this index in the census.
///
/// # Errors
/// Any error of the slot, which has to hold the census right; [`CallError::BadArgument`] for no index.
pub fn figures(right: Slot, index: u8) -> Result<Figures, CallError> {
    let outcome = enter(CallNumber::Figures, right.0, 0, [index.into(), 0, 0, 0, 0, 0]);
    outcome.done()?;
    let [table_pages, mappings, slots, events] = outcome.words;
    Ok(Figures { table_pages, mappings, slots, events })
}

/// Ends the system.
///
/// # Errors
/// Any error of the slot.
pub fn shutdown(right: Slot, how: SystemEnd) -> Result<(), CallError> {
    enter(CallNumber::Shutdown, right.0, 0, [how as u64, 0, 0, 0, 0, 0]).done()
}

/// Makes any call with any arguments, for tests of the kernel. Returns the outcome and results 0 to 3.
///
/// # Safety
/// The call may unmap memory that is in use.
#[allow(unsafe_code, reason = "declares an unsafe function; the call itself is safe")]
pub unsafe fn any_call(rax: u64, arguments: [u64; 6]) -> (i32, [u64; 4]) {
    let Outcome { status, words, .. } = raw::enter_raw(rax, arguments);
    (status, words)
}
