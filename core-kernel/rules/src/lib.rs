//! The kernel's decisions as pure functions over plain data.
//!
//! What a slot holds and who may use it, whether ranges overlap, who runs next, who meets whom in a gate call: all
//! of it is decided here, without hardware and without `unsafe`, and tested on the host. The kernel carries out
//! what these functions decide.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod authorize;
pub mod budget;
pub mod capability;
pub mod mapping;
pub mod ready;
pub mod region;
pub mod task;
pub mod text;

/// Index of a domain in the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(u8);

impl DomainId {
    /// The builder, the one domain that the kernel makes by itself.
    pub const BUILDER: Self = Self(0);

    /// The domain with this index, if the table has one.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        (index < cloison_abi::limits::MAX_DOMAINS).then_some(Self(index as u8))
    }

    /// The index. (The remainder changes nothing; it lets the compiler see that table accesses are in range.)
    #[must_use]
    #[inline(always)]
    pub fn index(self) -> usize {
        usize::from(self.0) % cloison_abi::limits::MAX_DOMAINS
    }

    /// Every index.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..cloison_abi::limits::MAX_DOMAINS as u8).map(Self)
    }
}
