//! What the monitor has to know after a restart, as bytes in memory that outlives it.
//!
//! There are two copies, so that one is whole whenever the monitor ends: the older one is written over.

use cloison_abi::Name;
use ipcmon_api::record::Head;
use ipcmon_policy::History;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Pairs of domains of which something can be withdrawn at one time.
pub const MAX_WITHDRAWN: usize = 32;

/// What is kept.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct State {
    /// The policy in force.
    pub(crate) policy: Name,
    pub(crate) history: History,
    pub(crate) withdrawn: [Row; MAX_WITHDRAWN],
    /// Questions, those allowed, those denied, policies in force so far.
    pub(crate) counts: [u32; 4],
    /// The end of the log.
    pub(crate) head: Head,
    /// How many entries that has.
    pub(crate) entries: u64,
    /// How many of `withdrawn` there are.
    pub(crate) rows: u64,
}

/// What is withdrawn from one domain.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Row {
    pub(crate) ends: [u8; 2],
    /// Whether the subject has tried.
    pub(crate) is_tried: u16,
    /// How often it had been refused then.
    pub(crate) refusals_before: u32,
    pub(crate) by: Name,
}

/// One copy.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Copy {
    /// Counts the states; 0: there is none.
    sequence: u64,
    checksum: u64,
    state: State,
}

/// Bytes of one copy.
pub const COPY_BYTES: usize = size_of::<Copy>();

/// Neither copy is whole, and something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// A state and its number.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The state.
    pub state: State,
    /// Its number.
    pub sequence: u64,
}

impl Copy {
    /// A copy of a state.
    #[must_use]
    pub fn new(state: State, sequence: u64) -> Self {
        let mut copy = Self { sequence, checksum: 0, state };
        copy.checksum = copy.sum();
        copy
    }

    /// A place for a copy that is read.
    #[must_use]
    pub fn empty() -> Self {
        Self::new_zeroed()
    }

    /// Where a copy with this number belongs: the place of the one before the last.
    #[must_use]
    pub const fn place(sequence: u64) -> usize {
        (sequence % 2) as usize * COPY_BYTES
    }

    fn is_whole(&self) -> bool {
        self.sequence != 0 && self.checksum == self.sum()
    }

    /// Not against an attacker, who cannot reach it: against a copy of which a part is an older one.
    fn sum(&self) -> u64 {
        let state = self.state.as_bytes().as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
        let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        state.fold(mix(0xcbf2_9ce4_8422_2325, self.sequence), mix)
    }
}

/// The newer of two copies; none if nothing was ever written.
///
/// # Errors
/// [`Damaged`].
pub fn newer(copies: [Copy; 2]) -> Result<Option<Numbered>, Damaged> {
    if copies.iter().all(|copy| copy.as_bytes().iter().all(|byte| *byte == 0)) {
        return Ok(None);
    }
    let whole = copies.into_iter().filter(Copy::is_whole).max_by_key(|copy| copy.sequence);
    let Copy { sequence, state, .. } = whole.ok_or(Damaged)?;
    Ok(Some(Numbered { state, sequence }))
}

const _: () = assert!(size_of::<State>().is_multiple_of(8), "it is summed up by words");
