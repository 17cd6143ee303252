//! The kernel's decisions as pure functions over plain data.
//!
//! What a slot holds and who may use it, whether ranges overlap, who runs next, who meets whom in a gate
//! call: all of it is decided here, without hardware and without `unsafe`, and tested on the host. The kernel
//! carries out what these functions decide.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use core::num::NonZeroU8;

use cloison_abi::limits::MAX_DOMAINS;

pub mod authorize;
pub mod budget;
pub mod capability;
pub mod clock;
pub mod cpu;
pub mod guarantee;
pub mod interrupts;
pub mod lending;
pub mod mapping;
pub mod memory;
pub mod ready;
pub mod region;
pub mod task;
pub mod text;

/// Entries of a table of domains: one for each, and the one that is nobody's.
pub const TABLE_ENTRIES: usize = MAX_DOMAINS + 1;

/// A set of domains, as bits.
pub type DomainSet = u32;

const _: () = assert!(TABLE_ENTRIES == DomainSet::BITS as usize, "a bit for each domain");

/// Index of a domain in the kernel's tables: 1 to 31. Entry 0 of a table is nobody's; so an optional index is
/// one byte, and nobody is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(NonZeroU8);

const _: () = assert!(TABLE_ENTRIES.is_power_of_two() && size_of::<Option<DomainId>>() == 1);

impl DomainId {
    /// The builder, the one domain that the kernel makes by itself.
    pub const BUILDER: Self = Self(NonZeroU8::MIN);

    /// The domain with this index, if there can be one.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        let number = u8::try_from(index).ok().and_then(NonZeroU8::new)?;
        (index < TABLE_ENTRIES).then_some(Self(number))
    }

    /// The index. (The remainder changes nothing; it lets the compiler see that table accesses are in range.)
    #[must_use]
    #[inline(always)]
    pub fn index(self) -> usize {
        usize::from(self.0.get()) % TABLE_ENTRIES
    }

    /// The set of this one alone.
    #[must_use]
    #[inline(always)]
    pub fn bit(self) -> DomainSet {
        1 << self.index()
    }

    /// Every index.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..TABLE_ENTRIES).filter_map(Self::new)
    }
}
