//! The monitor's log: what was decided, as a chain in which each entry is bound to all before it.

use cloison_abi::{Name, access::Class};
use sha2::{Digest as _, Sha256};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries that the monitor keeps. Of those before them it keeps what binds the first of these to them.
pub const KEPT_ENTRIES: u64 = 64;

/// What stands at the end of a chain: a digest of its last entry and of what stood there before.
pub type Head = [u8; 32];

/// The head of a chain without entries.
pub const NO_ENTRIES: Head = [0; 32];

/// An entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Entry {
    /// Its number; the first is 0.
    pub number: u64,
    /// When: the time-stamp counter.
    pub time: u64,
    /// The line of the manifest that says so, 0 for none.
    pub line: u32,
    /// How many policies have been in force.
    pub epoch: u32,
    /// Indices of both ends.
    pub ends: [u8; 2],
    /// The [`Class`] of access.
    pub class: u8,
    /// What came about: an [`Event`].
    pub event: u8,
    /// Zero.
    pub reserved: u32,
    /// Names of both ends; of a policy and of who wanted it.
    pub names: [Name; 2],
}

/// What came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// The monitor has begun a life.
    Started = 0,
    /// A question was answered by yes.
    Allowed = 1,
    /// A question was answered by no.
    Denied = 2,
    /// Something was withdrawn by hand.
    Withdrawn = 3,
    /// It was left to the policy again.
    GivenBack = 4,
    /// A policy is in force.
    Loaded = 5,
    /// A policy was wanted that is not in force.
    NotLoaded = 6,
}

impl Entry {
    /// An entry about two ends. Number, time and epoch are the chain's.
    #[must_use]
    pub fn new(event: Event, names: [Name; 2]) -> Self {
        Self { event: event as u8, names, ..Self::default() }
    }

    /// The same about what one end does to the other, by a line of the manifest.
    #[must_use]
    pub fn about(self, ends: [u8; 2], class: Class, line: u32) -> Self {
        Self { ends, class: class as u8, line, ..self }
    }

    /// The head of a chain to which this is appended.
    #[must_use]
    pub fn append_to(&self, head: &Head) -> Head {
        Sha256::new().chain_update(head).chain_update(self.as_bytes()).finalize().into()
    }

    /// The two halves in which it travels.
    #[must_use]
    pub fn halves(&self) -> [[u8; 32]; 2] {
        let (halves, _) = self.as_bytes().as_chunks();
        [halves[0], halves[1]]
    }

    /// The entry that has travelled in two halves.
    #[must_use]
    pub fn of_halves(halves: [[u8; 32]; 2]) -> Self {
        zerocopy::transmute!(halves)
    }
}

const _: () = assert!(size_of::<Entry>() == 64);
