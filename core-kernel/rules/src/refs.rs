//! Numbers that name the kernel's objects, and references that outlive the objects.
//!
//! An index says which entry of a table; a reference adds which of the objects that have had this entry. Each kind
//! of object has a type of its own, so that no number is taken for another's.

use core::num::NonZeroU8;

use cloison_abi::limits::{MAX_DOMAINS, MAX_REGIONS};

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

/// A domain at one time of its life: a reference that a destroyed and newly built domain does not inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainRef {
    /// The domain.
    pub id: DomainId,
    /// Its generation when the reference was made.
    pub generation: u32,
}

/// Index of a region in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionId(u16);

impl RegionId {
    /// The region of this entry.
    pub(crate) fn new(index: usize) -> Self {
        Self((index % MAX_REGIONS) as u16)
    }

    /// The index. (As for [`DomainId::index`].)
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) % MAX_REGIONS
    }
}

/// A region at one time of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionRef {
    /// The region.
    pub id: RegionId,
    /// Its generation when the reference was made.
    pub generation: u32,
}

impl RegionRef {
    /// What stands in an empty place of a table.
    pub(crate) const NONE: Self = Self { id: RegionId(0), generation: 0 };
}
