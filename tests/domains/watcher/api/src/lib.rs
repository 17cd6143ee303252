//! What a domain under test tells the watcher, and the watcher's side of the shared page.
//!
//! A test is a list of acts. Before each, the domain announces how it must end; then it either faults, which
//! the watcher learns from the kernel, or it says how its call ended.

#![no_std]
#![forbid(unsafe_code)]

use cloison_abi::FaultKind;
use cloison_ipc::wire::{Decoder, Encoder, Field, Malformed};
use cloison_sys::memory::SharedMemory;

/// Most bytes of an act's name.
pub const NAME_BYTES: usize = 96;

cloison_ipc::interface! {
    /// The gate `watch`.
    pub mod watch {
        /// Why the watcher refuses.
        refuse Refusal {
            /// The caller is not a client that the plan lists.
            Unknown = "the watcher does not know this client",
        }
        /// Says where the domain starts, so that the watcher can start it again after a fault.
        place: Place { entry: u64, stack: u64 } -> Placed {};
        /// Announces an act, whose name is in the shared page. It must end in one of `faults`, at `address`
        /// unless that is [`ANY_ADDRESS`](super::ANY_ADDRESS); if there are none, it must end with `status`.
        announce: Announce { act: u16, faults: FaultSet, address: u64, status: i32 } -> Announced {};
        /// Says that the act announced last ended without a fault, and with which status.
        end: End { status: i32 } -> Ended {};
        /// Says that there are no more acts, and how many there were.
        finish: Finish { acts: u16 } -> Finished {};
    }
}

/// Kinds of faults, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSet(u32);

impl FaultSet {
    /// No fault at all.
    pub const NONE: Self = Self(0);

    /// These kinds.
    #[must_use]
    pub fn of(kinds: &[FaultKind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u32))
    }

    /// Whether this kind is one of them.
    #[must_use]
    pub fn contains(self, kind: FaultKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    /// The kinds.
    pub fn kinds(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl Field for FaultSet {
    const BYTES: usize = u32::BYTES;

    fn put(&self, out: &mut Encoder) {
        self.0.put(out);
    }

    fn take(from: &mut Decoder) -> Result<Self, Malformed> {
        let set = Self(Field::take(from)?);
        if set == set.kinds().fold(Self::NONE, |all, kind| Self(all.0 | 1 << kind as u32)) {
            Ok(set)
        } else {
            Err(Malformed)
        }
    }
}

/// "At whatever address", in an announcement.
pub const ANY_ADDRESS: u64 = u64::MAX;

/// The status of an act that came back although it had to fault.
pub const SURVIVED: i32 = i32::MIN;

/// The status of an act that had to fault, and that an emulator carries out at any privilege level. Announced with
/// the faults, it will do as well.
pub const EMULATED: i32 = i32::MIN + 1;

/// Puts the name of the next act into the shared page.
pub fn write_name(page: &SharedMemory, name: &str) {
    let mut bytes = [0; NAME_BYTES];
    let length = name.len().min(NAME_BYTES);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    let inside = page.write(0, &bytes);
    debug_assert!(inside, "the page has room for a name");
}

/// The name of the next act.
#[derive(Clone, Copy, Debug)]
pub struct ActName([u8; NAME_BYTES]);

impl ActName {
    /// Reads it from the shared page.
    #[must_use]
    pub fn read(page: &SharedMemory) -> Self {
        let mut bytes = [0; NAME_BYTES];
        let inside = page.read(0, &mut bytes);
        debug_assert!(inside, "the page has room for a name");
        Self(bytes)
    }

    /// As text; what is not text ends it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        core::str::from_utf8(&self.0[..length]).unwrap_or("an act without a name")
    }
}
