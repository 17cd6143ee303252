//! How domains are started, watched and ended: the interface of the gate `manage`, by which the builder serves the manager.
//! The manager serves others by the same interface, as far as it lets them: what it passes on it need not translate.
//!
//! The manager is the one domain with the right `manage-right`. It starts, ends and changes the domains that the manifest lets
//! be managed, and no others; it hears of all how they are. A request is done when its reply comes, on the manager's time. The event of its entry `manage` says that
//! a domain has ended, faulted or begun another life; [`manage::Client::entry`] says which.

#![no_std]
#![forbid(unsafe_code)]

use cloison_abi::Name;
use cloison_ipc::Failure;

/// The name of the gate on the manager's information page.
pub const GATE: &str = cloison_abi::info::MANAGE_GATE;
/// Bytes of a digest that are told: its first.
pub const DIGEST_BYTES: usize = 8;

/// Registers that one reply tells.
pub const REGISTERS: u8 = 4;

/// Why it is not done.
pub type ManageError = Failure<manage::Refusal>;

cloison_ipc::choice! {
    /// Where a domain is in its life.
    pub enum State {
        /// It exists, and has no memory: it has not been started, or was ended.
        Defined,
        /// It runs, or waits for something.
        Running,
        /// It is held where it was.
        Paused,
        /// It has ended by itself. Its memory is as it left it.
        Ended,
        /// It has faulted, and is not started again. Its memory and its registers are as they were.
        Faulted,
        /// It has faulted too often, and is started again after a while.
        Resting,
        /// It has no memory, and what it was in an earlier life is kept: it can go on from there.
        Saved,
    }
}

impl State {
    /// The state, for a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Defined => "defined",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Faulted => "faulted",
            Self::Resting => "resting",
            Self::Saved => "saved",
        }
    }
}

impl core::fmt::Display for State {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.pad(self.name())
    }
}

cloison_ipc::interface! {
    /// The life of domains.
    pub mod manage {
        /// Why it is not done.
        refuse Refusal {
            /// The manager does not let this client ask for it.
            NotAllowed = "the manifest does not let this domain ask for it",
            /// There is no such domain, or place.
            Unknown = "no domain has this name",
            /// The manifest does not let it be managed.
            NotManaged = "the manifest does not let this domain be managed",
            /// It has memory already.
            IsStarted = "it was started before, and not killed since",
            /// It has no memory.
            IsDefined = "it was not started",
            /// It has ended or faulted.
            NotAlive = "it has ended or faulted",
            /// It is held already.
            IsPaused = "it is held, and was not let go since",
            /// It is not held.
            NotPaused = "it is not paused",
            /// The budget has too little memory.
            NoMemory = "too little memory of the budget is free",
            /// The budget has enough memory, but in smaller pieces.
            NoPiece = "enough memory of the budget is free, but not in one piece",
            /// The manifest does not name this program for this domain.
            UnknownImage = "the manifest does not name this image for this domain",
            /// It runs no guest, or one that has its memory from the boot on.
            NoGuest = "it has no guest that is given memory when it is started",
            /// The guest's kernel needs more.
            TooLittle = "that is less memory than the guest's kernel needs",
            /// The manifest gives it less.
            TooMuch = "that is more memory than the manifest lets this guest have",
            /// The program in the image of the system was changed.
            Damaged = "the program is not the one in the plan",
            /// It has not faulted.
            NotFaulted = "it has not faulted",
            /// There are no registers with these numbers.
            NoRegister = "there is no such register",
            /// The kernel refused a step.
            Failed = "the kernel refused a step of it",
            /// The manager hears nothing of the builder.
            NoBuilder = "the builder does not answer",
            /// What is to be started has to be measured before, and is not.
            NotMeasured = "it could not be measured, and is not started",
            /// Nothing is kept of it.
            NotSaved = "it is not saved",
            /// Something is kept of it already.
            IsSaved = "it was saved before, and was not restored since",
            /// It waits for a server, or for the monitor.
            IsCalling = "it waits for an answer; it can be saved when it has that",
            /// Others wait for it.
            HasClients = "others have called it and wait; it can be saved when they have their answers",
            /// It has a device.
            HasDevice = "it has a device, which cannot be saved",
            /// It runs a guest.
            HasGuest = "it runs a guest, which is saved by its own keys (saves = true)",
            /// It sees memory that is not its own.
            HasShared = "it has memory together with others, which cannot be saved",
            /// It can lend memory, or be lent some.
            HasLoans = "it can lend memory or be lent some, and loans cannot be saved",
            /// It was saved with another program than the one that is chosen now.
            OtherProgram = "it was saved with another program than the one that is set now",
            /// What was kept is not what it was.
            Changed = "what was saved of it was changed since",
            /// There is no such group, or place in it. The builder has none.
            UnknownGroup = "no group has this name",
        }
        /// A domain, by its place in the manifest, from 0 on. `kib` is the memory of the budget that it has, or would
        /// have; `cpu_ms` the CPU time of its life, of which nothing is known if the builder does not look after it.
        entry: Entry { place: u8 }
            -> Listed { name: Name, state: State, is_managed: bool, lives: u32, kib: u32, cpu_ms: u32 };
        /// How a domain is. `code` is what it has ended with, `cpu_us` for how long its account has paid in this life,
        /// `refusals` how often it was refused what it was about to do, in all its lives.
        info: Info { domain: Name }
            -> About { state: State, is_managed: bool, lives: u32, kib: u32, code: u64, cpu_us: u64, refusals: u32 };
        /// Which program a domain runs, and the start of its digest; of a guest, the kernel with which it has
        /// begun, and the digest of the domain's program. Of a domain that has no memory: what it is started with if nobody chooses something else then.
        program: Program { domain: Name } -> Runs { image: Name, digest: [u8; DIGEST_BYTES] };
        /// The digest of that program, made of what is in the image: as the boot loader measures it.
        measure: Measure { domain: Name } -> Measured { digest: [u8; 32] };
        /// What a domain that has faulted did wrong: a [`Fault`](cloison_abi::Fault), by its numbers.
        fault: Fault { domain: Name } -> Crash { kind: u32, code: u32, instruction: u64, address: u64 };
        /// Registers of a domain that has faulted: four from `first` on, a multiple of four, in the order of
        /// [`REGISTER_NAMES`](crate::REGISTER_NAMES).
        registers: Registers { domain: Name, first: u8 } -> Contents { a: u64, b: u64, c: u64, d: u64 };
        /// Where the calls return to that a domain was in when it faulted, the innermost first: four from `first` on, a
        /// multiple of four; 0 behind the last one.
        callers: Callers { domain: Name, first: u8 } -> Returns { a: u64, b: u64, c: u64, d: u64 };
        /// What the domain at a place has, from 0 on: threads; pages that are its alone, or would be, with its page tables;
        /// lines by which devices interrupt it; ports of the machine.
        parts: Parts { place: u8 } -> Owned { threads: u32, pages: u32, interrupts: u32, ports: u32 };
        /// Gives a domain its memory, loads its program and starts it.
        start: Start { domain: Name } -> Started { kib: u32, digest: [u8; DIGEST_BYTES] };
        /// What a domain can be started with, by its place, from 0 on; nothing if it has its program alone. Of a guest: the
        /// memory that it needs and can have.
        image: Image { domain: Name, place: u8 } -> Offered { image: Name, least_mib: u32, most_mib: u32 };
        /// The same as `start` for a domain whose guest is to have so much memory, and to begin with the image at a place.
        start_guest: StartGuest { domain: Name, image: u8, mib: u32 }
            -> Guested { kib: u32, digest: [u8; DIGEST_BYTES] };
        /// Asks a domain to end, by its event `shutdown`. One that does not wait for it goes on.
        shutdown: Shutdown { domain: Name } -> Asked {};
        /// Ends a domain, whatever it does, and takes its memory. Who calls it is told that it has failed.
        kill: Kill { domain: Name } -> Killed {};
        /// Holds a domain. Who calls it waits: `waiting` are those that do so now, as bits, by their places in the manifest. A
        /// domain that cannot be managed is not told of.
        pause: Pause { domain: Name } -> Held { waiting: u32 };
        /// Lets it go on.
        resume: Resume { domain: Name } -> Resumed {};
        /// Keeps what a domain is, and ends it: `kib` of the budget are taken by that until it is restored, or killed again.
        save: Save { domain: Name } -> Saved { kib: u32 };
        /// Gives a domain memory, and lets it go on from where it was saved. What was kept is used by that.
        restore: Restore { domain: Name } -> Restored { kib: u32, digest: [u8; DIGEST_BYTES] };
        /// The program with which a domain is started from now on.
        set_image: SetImage { domain: Name, image: Name } -> ImageSet {};
        /// The memory for all managed domains.
        budget: Budget {} -> Memory { total_kib: u32, free_kib: u32, largest_kib: u32 };
        /// What keeps a domain from being saved at any time: its device, or memory and the one who has that, too, lends it or is lent
        /// it. One of the two names can be empty.
        hindrance: Hindrance { domain: Name } -> Hindered { what: Name, whose: Name };
        /// A group of domains, by its place, from 0 on.
        group: Group { place: u8 } -> Grouped { name: Name };
        /// A domain of a group, by its place in it, from 0 on.
        member: Member { group: Name, place: u8 } -> Belongs { domain: Name };
    }
}

/// The registers that [`manage::Client::registers`] tells, in their order.
pub const REGISTER_NAMES: [&str; 18] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip", "rflags",
];

#[cfg(test)]
mod tests;
