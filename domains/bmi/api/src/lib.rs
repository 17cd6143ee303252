//! How domains have others started, watched and ended: the interface of the gate `bmi`, and the command `bmic`, which is
//! the same wherever it is typed.
//!
//! * [`bmi`] is the interface: what BMI passes on to the builder, after it has judged it.
//! * [`Command`] is what a line of `bmic` asks for; [`carry_out`] does it and tells a person how it went.
//! * [`closest`] finds what somebody meant.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod carry_out;
mod closest;
mod command;
mod text;

pub use builder_api::{DIGEST_BYTES, REGISTER_NAMES, State};
pub use carry_out::{Around, Status, carry_out, domains, groups};
pub use closest::closest;
pub use command::{Command, MANUAL, OPTIONS, UsageError};
pub use text::text;

use builder_api::manage;
use cloison_abi::Name;
use cloison_ipc::Failure;

/// Registers that a reply has room for.
pub const REGISTERS: usize = 4;

/// Why BMI did not do it.
pub type BmiError = Failure<bmi::Refusal>;

cloison_ipc::interface! {
    /// The life of domains, as far as the manifest lets the client manage them.
    pub mod bmi {
        /// Why BMI refuses.
        refuse Refusal {
            /// The manifest does not let this client ask for it.
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
            IsPaused = "it is paused",
            /// It is not held.
            NotPaused = "it is not paused",
            /// The budget has too little memory.
            NoMemory = "too little memory of the budget is free",
            /// The budget has enough memory, but in smaller pieces.
            NoPiece = "enough memory of the budget is free, but not in one piece",
            /// The manifest does not name this program for this domain.
            UnknownImage = "the manifest does not name this image for this domain",
            /// The program in the image of the system was changed.
            Damaged = "the program is not the one in the plan",
            /// It has not faulted.
            NotFaulted = "it has not faulted",
            /// There is no such register.
            NoRegister = "there is no such register",
            /// The kernel holds no domain.
            CannotPause = "this system cannot pause a domain",
            /// The kernel refused a step.
            Failed = "the kernel refused a step of it",
            /// The builder is gone.
            NoBuilder = "the builder does not answer",
            /// There is no such group, or place in it.
            UnknownGroup = "no group has this name",
        }
        /// A domain, by its place in the manifest, from 0 on. `kib` is the memory of the budget that it has, or would
        /// have.
        entry: Entry { place: u8 } -> Listed { name: Name, state: State, is_managed: bool, lives: u32, kib: u32 };
        /// How a domain is. `code` is what it has ended with, `refusals` how often it was denied something.
        info: Info { domain: Name }
            -> About { state: State, is_managed: bool, lives: u32, kib: u32, refusals: u32, code: u64, cpu_us: u64 };
        /// Which program a domain runs, or is to run, and the start of the program's digest.
        program: Program { domain: Name } -> Runs { image: Name, digest: [u8; DIGEST_BYTES] };
        /// What a domain that has faulted did wrong: a [`Fault`](cloison_abi::Fault), by its numbers.
        fault: Fault { domain: Name } -> Crash { kind: u32, code: u32, instruction: u64, address: u64 };
        /// Registers of a domain that has faulted: [`REGISTERS`] from `first` on, in the order of [`REGISTER_NAMES`].
        registers: Registers { domain: Name, first: u8 } -> Contents { a: u64, b: u64, c: u64, d: u64 };
        /// The memory for all managed domains.
        budget: Budget {} -> Memory { total_kib: u32, free_kib: u32, largest_kib: u32 };
        /// The program with which a domain is started from now on.
        set_image: SetImage { domain: Name, image: Name } -> ImageSet {};
        /// Gives a domain its memory, loads its program and starts it.
        start: Start { domain: Name } -> Started { kib: u32, digest: [u8; DIGEST_BYTES] };
        /// Asks a domain to end. One that does not listen goes on.
        shutdown: Shutdown { domain: Name } -> Asked {};
        /// Ends a domain, whatever it does, and takes its memory.
        kill: Kill { domain: Name } -> Killed {};
        /// Holds a domain. Who calls it waits.
        pause: Pause { domain: Name } -> Held {};
        /// Lets it go on.
        resume: Resume { domain: Name } -> Resumed {};
        /// A group of domains, by its place, from 0 on.
        group: Group { place: u8 } -> Grouped { name: Name };
        /// A domain of a group, by its place in it, from 0 on.
        member: Member { group: Name, place: u8 } -> Belongs { domain: Name };
    }
}

impl From<manage::Refusal> for bmi::Refusal {
    fn from(refusal: manage::Refusal) -> Self {
        match refusal {
            manage::Refusal::Unknown => Self::Unknown,
            manage::Refusal::NotManaged => Self::NotManaged,
            manage::Refusal::IsStarted => Self::IsStarted,
            manage::Refusal::IsDefined => Self::IsDefined,
            manage::Refusal::NotAlive => Self::NotAlive,
            manage::Refusal::IsPaused => Self::IsPaused,
            manage::Refusal::NotPaused => Self::NotPaused,
            manage::Refusal::NoMemory => Self::NoMemory,
            manage::Refusal::NoPiece => Self::NoPiece,
            manage::Refusal::UnknownImage => Self::UnknownImage,
            manage::Refusal::Damaged => Self::Damaged,
            manage::Refusal::NotFaulted => Self::NotFaulted,
            manage::Refusal::NoRegister => Self::NoRegister,
            manage::Refusal::CannotPause => Self::CannotPause,
            manage::Refusal::Failed => Self::Failed,
        }
    }
}
