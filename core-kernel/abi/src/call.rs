//! The calls that a domain can make, their registers and their errors.
//!
//! A call is one `syscall` instruction. No call takes an address to read from or write to: everything travels
//! in registers, so the kernel never follows a pointer that a domain gave it. (What does not fit into registers
//! about a [guest](crate::guest) lies in a page that its builder has named once and for all.)
//!
//! | register | going in | coming out |
//! |---|---|---|
//! | `rax` | bits 0–7 [`CallNumber`], 8–15 slot, 32–63 label | bits 0–31 [`CallError`] or a non-negative outcome, 32–63 label |
//! | `rdi` `rsi` `rdx` `r10` | arguments 0 to 3, the words of a message | results 0 to 3 |
//! | `r8` `r9` | arguments 4 and 5 | badge (`r8`, for a message received) |
//! | `rcx` `r11` | | clobbered by the instruction itself |
//! | vector and x87 registers, `mxcsr` | | in their initial state |
//!
//! All other registers keep their values. "Slot" is bits 8 to 15 of `rax`; `a0` to `a5` are the arguments.

/// The calls. "→" says what comes back in results 0 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CallNumber {
    /// Gate call: send a label and four words through the gate in the slot and wait for the answer. → the
    /// answer.
    Call = 0,
    /// Answer the client that is being served, if there is one, with a label and words a0 to a3; then wait
    /// for the next message, for one of the events in the mask a4, or for the deadline a5. →
    /// [`RECEIVED_MESSAGE`] with label, words, badge, or [`RECEIVED_EVENTS`] with the bits in result 0, which
    /// are then cleared.
    ReplyWait = 1,
    /// Wait for one of the events in the mask a4, or for the deadline a5. → the bits, which are then cleared.
    Wait = 2,
    /// Set the event bit that the slot names.
    Signal = 3,
    /// Write to the kernel's debug output: as many bytes of a0 to a3 as the label says, at most 32. The
    /// kernel shows whole lines, with the domain's name.
    DebugWrite = 4,
    /// End this domain with code a0.
    Exit = 5,
    /// → frequency of the time-stamp counter in Hz, its value at the kernel's entry, its value at the first
    /// domain's start, and how much of that was spent waiting for calibration.
    Clock = 6,
    /// Map pages of the region in the slot into this domain: at address a0, from page a1, a2 pages,
    /// [`Rights`](crate::Rights) a3.
    RegionMap = 7,
    /// Remove the mapping that starts at address a0.
    RegionUnmap = 8,
    /// Give the region in the slot, with rights a1, to the server of the gate in slot a0. → the slot in the
    /// server's table.
    RegionGrant = 9,
    /// Take the region in the slot back from every domain to which it was lent: slots and mappings.
    RegionRevoke = 10,
    /// → pages and rights of the region in the slot; its physical address, if the slot holds the right
    /// [`DMA`](crate::Rights::DMA), else 0.
    RegionInfo = 11,
    /// Tell the kernel that the interrupt in the slot has been dealt with and may arrive again. → for a
    /// message-signalled one, the address to which the device has to write and the data; for a line, zeros.
    InterruptAcknowledge = 12,
    /// Empty the slot.
    SlotDrop = 13,
    /// Read the kernel's log (log right in the slot). → label: number of bytes, words: the bytes;
    /// [`LOG_ENDING`] if there are no more and the system is about to end: the reader brings out what it
    /// still has and calls again.
    LogRead = 14,
    /// Read the census (census right in the slot) from cursor a0 on. → next cursor or 0 at the end; domain
    /// index in bits 0–7, slot in 8–15, [`Rights`](crate::Rights) in 16–31, kind in 32–63; the name of the
    /// domain.
    CensusRead = 15,
    /// End the system (shutdown right in the slot): a0 is a [`SystemEnd`].
    Shutdown = 16,
    /// Fault by choice: a panic. a0: source line.
    Panic = 17,
    /// Give up rights: of those that the slot holds to its domain or region, only the ones in a0 stay.
    SlotLimit = 18,
    /// → what the slot holds: its [`ObjectKind`](crate::ObjectKind), the rights; then of the domain that it
    /// leads to, if it leads to one: how many of its lives have ended, and 1 if it lives now. A holder that
    /// gets [`EVENT_PEER_FAILED`](crate::limits::EVENT_PEER_FAILED) learns here which peer it was.
    SlotInfo = 19,
    /// Give up the priority of a domain without a limit: from here on the caller's own are the lowest priority and
    /// [`RETIRED_BUDGET_US`](crate::limits::RETIRED_BUDGET_US).
    Retire = 20,
    /// → what the first of the domains that wait for the monitor (monitor right in the slot) is about to do, as a
    /// [`Question`](crate::access::Question); the domain's name in results 2 and 3. The label is the number of the
    /// *epoch*, which an answer has to name. [`ASK_NONE`] if nobody waits.
    AskRead = 21,
    /// Allow or deny what the domain in the slot does: to the domain in slot a0, or to all and to nobody if a0 is
    /// [`EVERYONE`]; the [`Classes`](crate::access::Classes) a1; a2 a [`Decision`](crate::access::Decision). Its builder
    /// can do so while the domain does not live, and that holds for all its lives; the domain itself can only deny, for
    /// this life. To have the monitor asked is for the builder alone, toward everyone.
    AccessSet = 22,
    /// Decide (monitor right in the slot) what the domain with index a0 may do to the domain with index a1, or to all
    /// if a1 is [`EVERYONE`]: the [`Classes`](crate::access::Classes) a2, a3 a [`Decision`](crate::access::Decision).
    /// Label 0: a new policy, which begins the next epoch. Else the answer to a question of the epoch that the label
    /// names; [`CallError::BadState`] if that is over. What is denied is at an end when this returns: a caller that
    /// waits for a server to which it may not call gets [`CallError::Denied`]; by a new policy, who may not share with
    /// another domain sees nothing in place of the memory that both have, until a new policy allows it. → the epoch.
    VerdictSet = 23,
    /// → the next gate into this domain whose holder has ended a life since it was last read: the cursor with
    /// which to go on as a0 (0 at first), or 0 if there is none; its badge. What a server keeps for this
    /// client is nobody's now.
    GoneRead = 24,
    /// → of the domain with index a0 (census right in the slot): pages of its quota that are page tables,
    /// mappings, slots that are filled, events that have arrived.
    Figures = 25,
    /// Set the event bit that the slot names, and [`ReplyWait`](Self::ReplyWait) in the same call. The wait comes first:
    /// the domain that gets the event runs in place of the caller, not before it. If the event is refused, nothing is done.
    SignalReplyWait = 26,
    /// → of the domain with index a0 (monitor right in the slot): the domains to which it may do what is of class a1,
    /// as bits, and from bit 32 on those to which the monitor has denied it; questions that it has asked, and from bit
    /// 32 on how often it was refused; its name. The label says how many of its lives have ended.
    VerdictRead = 27,

    /// Create a domain (builder right in the slot): a0 the slot that receives it, a1 a region whose pages
    /// become the domain's page tables, a2 and a3 its name. Until the domain is destroyed, the region is the
    /// kernel's: it can be neither mapped nor passed on.
    DomainCreate = 32,
    /// Set how the domain in the slot runs: a0 priority, a1 budget in µs, a2 period in µs, a3
    /// [`FaultPolicy`](crate::plan::FaultPolicy) and
    /// [`CONFIGURE_ENDS_SYSTEM`] and [`CONFIGURE_COMES_BACK`], a4 slot of the domain that handles its faults, a5 the event bit there.
    DomainConfigure = 33,
    /// Map into the domain in the slot: region in slot a0, at address a1, from page a2, a3 pages, rights a4. A region
    /// that was lent, or that the caller may not pass on for another reason, is refused.
    DomainMap = 34,
    /// Fill slot a0 of the domain in the slot with the region in slot a1, rights a2.
    DomainGiveRegion = 35,
    /// Fill slot a0 of the domain in the slot with a gate into the domain in slot a1, badge a2; [`SLOT_SELF`] stands for
    /// the caller. What it
    /// grants goes to the server's slots from a3 (bits 0–7) on, at most as many as bits 8–15 of a3 say.
    DomainGiveGate = 36,
    /// Fill slot a0 of the domain in the slot with event bit a2 of the domain in slot a1. [`SLOT_SELF`] stands for the
    /// caller.
    DomainGiveEvent = 37,
    /// Fill slot a0 of the domain in the slot with a new interrupt that comes from the
    /// [`InterruptSource`](crate::InterruptSource) a2, as bits, to arrive as its event bit a3; a1 builder right.
    /// A line that another interrupt has, or that the machine lacks, is refused.
    DomainGiveInterrupt = 38,
    /// Let the domain in the slot use a2 I/O ports from port a1 on; a0 builder right.
    DomainGivePorts = 39,
    /// Fill slot a0 of the domain in the slot with the right of kind a2; a1 builder right; a3 for the log
    /// right: the event bit that says that there is something to read.
    DomainGiveRight = 40,
    /// Fill slot a0 of the domain in the slot with the domain in slot a1, rights a2.
    DomainGiveDomain = 41,
    /// Start the domain in the slot: a0 first instruction, a1 stack pointer, a2 what it finds in `rdi`. If it
    /// has lived before, [`Self::DomainReset`] comes first by itself.
    DomainStart = 42,
    /// Stop the domain in the slot. Who waits for it gets [`CallError::PeerFailed`]; what it lent comes back.
    DomainStop = 43,
    /// Destroy the domain in the slot: what it lent comes back, everything it held is given up, its page
    /// tables are scrubbed.
    DomainDestroy = 44,
    /// Take a2 pages from page a1 on out of the region in the slot, as a region of their own in slot a0. Its
    /// memory is zeroed.
    RegionCarve = 45,
    /// Make a region of device memory (builder right in the slot): a0 receiving slot, a1 physical address, a2
    /// pages.
    RegionDevice = 46,
    /// End the region in the slot: taken back from everyone, scrubbed, and part of what it was carved from
    /// again.
    RegionDelete = 47,
    /// → what the domain in the slot did wrong: kind, code, instruction, address. With a0 from 1 to 5, four of the registers
    /// with which it has stopped: [part](crate::capture) a0 - 1.
    FaultRead = 48,
    /// Make a [guest](crate::guest) of the domain in the slot, which has not lived since it was built or reset and has
    /// none: a0 the slot there that receives it; a1 a region whose pages become the guest's page tables, as those of a1
    /// of [`Self::DomainCreate`] do; a2 the region whose first page is the frame page; a3 the regions that are attached
    /// to the guest, as slots of the caller, 8 bits for each of [`GUEST_REGIONS`](crate::guest::GUEST_REGIONS), 0 for
    /// none; a4 one bit for each of them, set if the guest may be let write to it. Until the domain ends for good, none
    /// of these regions can be carved, lent, taken back, deleted or made page tables.
    DomainGiveGuest = 49,
    /// Let the domain in the slot, which is stopped, wait for the caller as one that has faulted does: until the
    /// caller starts it, or waits, the caller can run at that domain's priority and on its account.
    DomainAttend = 50,
    /// Make a space of the guest in the slot (a0 0) or end it (a0 1): number a1. Space 0 comes first and goes last: the
    /// others show its upper half.
    ///
    /// Or let the kernel switch halves for the guest, if a0 is [`SPACE_SWITCH`](crate::guest::SPACE_SWITCH): a1 an
    /// [entry](crate::guest::GuestMapEntry) for the page of its [`GuestSwitch`](crate::guest::GuestSwitch), a2 where it goes
    /// on after a call of the lower half, a3 where it goes on after a call with both halves and one of the numbers below 64 whose
    /// bits are set in a5, a4 behind which call it returns to the lower half.
    GuestSpace = 51,
    /// Show pages in space a0 of the guest in the slot: from address a1 on, a2 pages in a row, each as its
    /// [entry](crate::guest::GuestMapEntry) in the frame page says, in place of what is there. Addresses of the upper half
    /// are those of space 0 alone. If an entry is refused, or no page is left for a table
    /// ([`CallError::QuotaExceeded`]), those before it are shown.
    GuestMap = 52,
    /// Show nothing any more in space a0 of the guest in the slot, from address a1 on, in a2 pages. Page tables that are
    /// covered as a whole are free again.
    GuestUnmap = 53,
    /// Run the guest in the slot, in space a0, with the half a1 ([`GuestHalf`](crate::guest::GuestHalf); with
    /// [`GUEST_SWITCHES`](crate::guest::GUEST_SWITCHES) added, the kernel switches halves by itself), from the
    /// registers in the frame page on, until it comes out: at the latest when one of the events in the mask a4 is
    /// pending, or at the deadline a5. → a [`GuestExit`](crate::guest::GuestExit) with its results, and the registers in
    /// the frame page.
    GuestEnter = 54,
    /// Make the domain in the slot, which does not live, what it was before its first life: what it lent is
    /// taken back, what was lent to it is dropped, its slots and mappings are those that its builder made,
    /// its page tables are new. Its memory is left to the domain that loads it. With a0 1, not 0, they are not filled: that is
    /// left to its start, or to another reset. Nothing is done to one that has not lived since it was reset.
    DomainReset = 55,
    /// Hold the domain in the slot where it is (a0 1), or let it go on (a0 0). Who calls it waits. A call that it makes comes to
    /// its end, and then the domain is held; events wait for it. [`CallError::BadState`] if it does not live, or is so already.
    DomainPause = 56,
    /// → of the domain in the slot: its [`DomainState`](crate::life::DomainState) in bits 0 to 31, and above that on how often it
    /// was refused, in all its lives; ticks for which its account has paid in this life; how many of its lives have ended; the
    /// domains that wait for it to answer, as bits.
    DomainInfo = 57,
    /// → the [part](crate::capture) a0 of what the domain in the slot, which is held and does not wait for an answer, goes on with.
    DomainCapture = 58,
    /// Restore words a1 to a4 of the [part](crate::capture) a0 of what the domain in the slot, which does not live, goes on with.
    /// With the last one it begins a life, as with [`Self::DomainStart`]; [`CallError::BadArgument`] if none can go on so.
    DomainRestore = 59,
    /// Give the region in the slot, which is vacant, memory: its pages become a2 of those of the region in slot a0, from
    /// page a1 on, as if it had been carved out of that. They are zeroed. Mappings that show more of it show what there is.
    RegionBack = 60,
    /// Take the memory of the region in the slot: nobody sees it any more, those to whom it was lent lose it, it is
    /// scrubbed, and part of what it was carved from again. Slots and mappings that a builder has made stay, to be of use
    /// when it has memory again. A domain that is to see it begins no life before. A guest that it is attached to has it
    /// still, if its domain does not live; the memory of a guest's frame page cannot be taken.
    RegionVacate = 61,
}

impl CallNumber {
    /// Every call, with its number; the one table that the kernel dispatches on and that reviews see.
    pub const ALL: [(u8, Self); 58] = [
        (0, Self::Call),
        (1, Self::ReplyWait),
        (2, Self::Wait),
        (3, Self::Signal),
        (4, Self::DebugWrite),
        (5, Self::Exit),
        (6, Self::Clock),
        (7, Self::RegionMap),
        (8, Self::RegionUnmap),
        (9, Self::RegionGrant),
        (10, Self::RegionRevoke),
        (11, Self::RegionInfo),
        (12, Self::InterruptAcknowledge),
        (13, Self::SlotDrop),
        (14, Self::LogRead),
        (15, Self::CensusRead),
        (16, Self::Shutdown),
        (17, Self::Panic),
        (18, Self::SlotLimit),
        (19, Self::SlotInfo),
        (20, Self::Retire),
        (21, Self::AskRead),
        (22, Self::AccessSet),
        (23, Self::VerdictSet),
        (24, Self::GoneRead),
        (25, Self::Figures),
        (26, Self::SignalReplyWait),
        (27, Self::VerdictRead),
        (32, Self::DomainCreate),
        (33, Self::DomainConfigure),
        (34, Self::DomainMap),
        (35, Self::DomainGiveRegion),
        (36, Self::DomainGiveGate),
        (37, Self::DomainGiveEvent),
        (38, Self::DomainGiveInterrupt),
        (39, Self::DomainGivePorts),
        (40, Self::DomainGiveRight),
        (41, Self::DomainGiveDomain),
        (42, Self::DomainStart),
        (43, Self::DomainStop),
        (44, Self::DomainDestroy),
        (45, Self::RegionCarve),
        (46, Self::RegionDevice),
        (47, Self::RegionDelete),
        (48, Self::FaultRead),
        (49, Self::DomainGiveGuest),
        (50, Self::DomainAttend),
        (51, Self::GuestSpace),
        (52, Self::GuestMap),
        (53, Self::GuestUnmap),
        (54, Self::GuestEnter),
        (55, Self::DomainReset),
        (56, Self::DomainPause),
        (57, Self::DomainInfo),
        (58, Self::DomainCapture),
        (59, Self::DomainRestore),
        (60, Self::RegionBack),
        (61, Self::RegionVacate),
    ];

    /// The call with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        /// More than any number of a call.
        const END: usize = 64;
        /// The calls by their numbers.
        const BY_NUMBER: [Option<CallNumber>; END] = {
            let mut table = [None; END];
            let mut place = 0;
            while place < CallNumber::ALL.len() {
                let (number, call) = CallNumber::ALL[place];
                table[number as usize] = Some(call);
                place += 1;
            }
            table
        };
        if (number as usize) < END { BY_NUMBER[number as usize] } else { None }
    }
}

/// Outcome of [`CallNumber::ReplyWait`]: a message.
pub const RECEIVED_MESSAGE: i32 = 0;
/// Outcome of [`CallNumber::ReplyWait`]: events.
pub const RECEIVED_EVENTS: i32 = 1;

/// Outcome of [`CallNumber::LogRead`]: the system ends when the reader calls again, or soon anyway.
pub const LOG_ENDING: i32 = 1;

/// Outcome of [`CallNumber::AskRead`]: nobody waits for an answer.
pub const ASK_NONE: i32 = 1;

/// Deadline that never comes.
pub const NO_DEADLINE: u64 = u64::MAX;
/// Deadline that has passed already: look, do not wait.
pub const POLL: u64 = 0;

/// Flag for [`CallNumber::DomainConfigure`]: when the domain ends, so does the system.
pub const CONFIGURE_ENDS_SYSTEM: u64 = 1 << 8;

/// Flag for [`CallNumber::DomainConfigure`]: who handles the domain's faults is told of each end, and can start it again.
pub const CONFIGURE_COMES_BACK: u64 = 1 << 9;

/// In place of a slot in [`CallNumber::AccessSet`]: every domain, and what is done to none. In place of an index in
/// [`CallNumber::VerdictSet`]: every other domain.
pub const EVERYONE: u64 = u64::MAX;

/// Slot that every domain has from the start: itself, with no rights but those to its own address space.
pub const SLOT_SELF: u8 = 0;
/// Slot in which the builder finds the builder right.
pub const BUILDER_SLOT_RIGHT: u8 = 1;
/// Slot in which the builder finds the census right.
pub const BUILDER_SLOT_CENSUS: u8 = 2;
/// Slot in which the builder finds the shutdown right.
pub const BUILDER_SLOT_SHUTDOWN: u8 = 3;
/// First slot in which the builder finds free memory: one region for each free run of the machine's memory.
pub const BUILDER_SLOT_MEMORY: u8 = 4;
/// How many such slots there are at most.
pub const BUILDER_MEMORY_SLOTS: u8 = 4;
/// Slot in which the builder finds the [log](crate::measure::BootLogHeader) that the boot loader has handed on, if it has.
pub const BUILDER_SLOT_LOG: u8 = BUILDER_SLOT_MEMORY + BUILDER_MEMORY_SLOTS;
/// Slot in which the builder finds PCI's configuration space, if ACPI says where: all [functions](crate::PciFunction), by number.
pub const BUILDER_SLOT_CONFIGURATION_SPACE: u8 = BUILDER_SLOT_LOG + 1;
/// First slot that the builder can use as it likes.
pub const BUILDER_SLOT_FREE: u8 = BUILDER_SLOT_CONFIGURATION_SPACE + 1;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum CallError {
    /// No call has this number.
    UnknownCall = -1,
    /// The slot is empty or its number is too large.
    BadSlot = -2,
    /// The slot holds an object of another type.
    WrongType = -3,
    /// The slot does not hold the right that this needs.
    MissingRight = -4,
    /// An argument is out of its range.
    BadArgument = -5,
    /// The range overlaps one that is there already.
    Overlap = -6,
    /// The quota of the domain (pages for page tables, mappings) is used up.
    QuotaExceeded = -7,
    /// The receiving slot is taken, or no receiving slot is left.
    SlotTaken = -8,
    /// The other domain has failed or ended.
    PeerFailed = -9,
    /// The policy forbids it.
    Denied = -10,
    /// The deadline passed first.
    TimedOut = -11,
    /// The object is not in a state for this: a domain that runs already, a region that is in use.
    BadState = -12,
    /// A domain called itself.
    SelfCall = -13,
    /// One of the kernel's tables is full.
    TableFull = -14,
}

impl CallError {
    /// Every error, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::UnknownCall,
        Self::BadSlot,
        Self::WrongType,
        Self::MissingRight,
        Self::BadArgument,
        Self::Overlap,
        Self::QuotaExceeded,
        Self::SlotTaken,
        Self::PeerFailed,
        Self::Denied,
        Self::TimedOut,
        Self::BadState,
        Self::SelfCall,
        Self::TableFull,
    ];

    /// The error with this (negative) number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        let index = number.checked_neg()?.checked_sub(1)?;
        Self::ALL.get(usize::try_from(index).ok()?).copied()
    }

    /// What happened, for a person.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::UnknownCall => "no such call",
            Self::BadSlot => "the slot is empty",
            Self::WrongType => "the slot holds an object of another type",
            Self::MissingRight => "the slot does not hold the right for this",
            Self::BadArgument => "an argument is out of range",
            Self::Overlap => "the range overlaps one that is there already",
            Self::QuotaExceeded => "the domain's quota is used up",
            Self::SlotTaken => "no free slot to receive it",
            Self::PeerFailed => "the other domain has failed or ended",
            Self::Denied => "the policy forbids it",
            Self::TimedOut => "the deadline passed",
            Self::BadState => "the object is not in a state for this",
            Self::SelfCall => "a domain cannot call itself",
            Self::TableFull => "a table of the kernel is full",
        }
    }
}

impl core::fmt::Display for CallError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str(self.explain())
    }
}

impl core::error::Error for CallError {}

/// How the system ended: the byte that the kernel writes to the exit port. An emulator that turns it into its
/// exit status as QEMU's `isa-debug-exit` does (`2 × value + 1`) then never ends with 0 or 1, which are its
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SystemEnd {
    /// The domain named in the plan ended with code 0.
    Success = 0x10,
    /// It ended with another code, or faulted.
    Failure = 0x11,
    /// The kernel found the image, the plan or the machine unfit and started nothing, or a domain whose
    /// policy says so faulted.
    Halt = 0x12,
    /// The kernel itself failed.
    Panic = 0x13,
}

impl SystemEnd {
    /// The end with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Halt, Self::Panic].into_iter().find(|end| *end as u64 == number)
    }

    /// The exit status of QEMU for this end.
    #[must_use]
    pub const fn qemu_status(self) -> i32 {
        (self as i32) * 2 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_give_each_number_as_the_enums_do() {
        for (place, (number, call)) in CallNumber::ALL.into_iter().enumerate() {
            assert_eq!(number, call as u8);
            assert!(
                CallNumber::ALL[..place].iter().all(|(earlier, _)| *earlier < number),
                "{call:?} is in order"
            );
            assert_eq!(CallNumber::from_number(number), Some(call));
        }
        for (place, error) in CallError::ALL.into_iter().enumerate() {
            assert_eq!(error as i32, -1 - place as i32);
            assert_eq!(CallError::from_number(error as i32), Some(error));
        }
        assert_eq!(CallError::from_number(0), None);
        assert_eq!(CallError::from_number(i32::MIN), None);
    }

    #[test]
    fn no_end_of_the_system_looks_like_an_end_of_the_emulator() {
        for end in [SystemEnd::Success, SystemEnd::Failure, SystemEnd::Halt, SystemEnd::Panic] {
            assert_eq!(SystemEnd::from_number(end as u64), Some(end));
            assert!(end.qemu_status() > 1);
        }
    }
}
