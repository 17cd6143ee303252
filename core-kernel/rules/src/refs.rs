//! Numbers that name the kernel's objects, and references that outlive the objects.
//!
//! An index says which entry of a table; a reference adds which of the objects that have had this entry. Each kind
//! of object has a type of its own, so that no number is taken for another's.

use cloison_abi::{
    guest::MAX_GUESTS,
    limits::{DOMAIN_END, MAX_DOMAINS, MAX_INTERRUPTS, MAX_REGIONS, PAGE_BYTES},
};

/// Entries of a table of domains or of threads: one for each, and the one that is nobody's.
pub const TABLE_ENTRIES: usize = MAX_DOMAINS + 1;

const _: () = assert!(TABLE_ENTRIES.is_power_of_two() && TABLE_ENTRIES == u32::BITS as usize);

/// An index into tables with [`TABLE_ENTRIES`], a set of such indices, and a reference.
macro_rules! kind {
    ($what:literal, $id:ident, $set:ident, $reference:ident, $($index:ident)*) => {
        #[doc = concat!("A set of ", $what, "s, as bits.")]
        pub type $set = u32;

        #[doc = concat!("Index of a ", $what, " in the kernel's tables: 1 to 31.")]
        ///
        /// Entry 0 of a table is nobody's; so an optional index is one byte, and nobody is zero. An enumeration, and not
        /// a number: so the compiler knows that each is in range of a table, and tests nothing where a table is used.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is what its number says")]
        pub enum $id {
            I1 = 1,
            $($index,)*
        }

        impl $id {
            /// The lowest index.
            pub const FIRST: Self = Self::I1;
            const ALL: [Self; TABLE_ENTRIES - 1] = [Self::I1, $(Self::$index,)*];

            #[doc = concat!("The ", $what, " with this index, if there can be one.")]
            #[must_use]
            pub fn new(index: usize) -> Option<Self> {
                Self::ALL.get(index.wrapping_sub(1)).copied()
            }

            /// The index.
            #[must_use]
            #[inline(always)]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The set of this one alone.
            #[must_use]
            #[inline(always)]
            pub const fn bit(self) -> $set {
                1 << self.index()
            }

            /// Every index.
            pub fn all() -> impl Iterator<Item = Self> {
                Self::ALL.into_iter()
            }
        }

        #[doc = concat!("A ", $what, " at one time of its life: one that has its index later does not inherit the reference.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $reference {
            /// Its index.
            pub id: $id,
            /// How many had this index before.
            pub generation: u32,
        }
    };
    ($what:literal, $id:ident, $set:ident, $reference:ident) => {
        kind!($what, $id, $set, $reference,
            I2 I3 I4 I5 I6 I7 I8 I9 I10 I11 I12 I13 I14 I15 I16 I17 I18 I19 I20 I21 I22 I23 I24 I25 I26 I27 I28 I29 I30 I31);
    };
}

kind!("domain", DomainId, DomainSet, DomainRef);
kind!("thread", ThreadId, ThreadSet, ThreadRef);

impl DomainId {
    /// The builder, the one domain that the kernel makes by itself.
    pub const BUILDER: Self = Self::FIRST;
}

/// A thread that is called or signalled, and the domain that it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The thread.
    pub thread: ThreadRef,
    /// Its domain, for as long as the thread is that one.
    pub domain: DomainId,
}

/// An event bit of a thread: whom to wake, and by which bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef {
    /// The thread.
    pub target: Peer,
    /// Which of its bits, below 64.
    pub bit: u8,
}

/// Index of an interrupt in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptId(u8);

const _: () = assert!(MAX_INTERRUPTS <= u8::MAX as usize);

impl InterruptId {
    /// The interrupt of this entry, if there is such an entry.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        (index < MAX_INTERRUPTS).then_some(Self(index as u8))
    }

    /// The index. (As for [`DomainId::index`].)
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) % MAX_INTERRUPTS
    }
}

/// Index of a guest in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestId(u8);

impl GuestId {
    /// The lowest index.
    pub const FIRST: Self = Self(0);

    /// The guest of this entry, if there is such an entry.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        (index < MAX_GUESTS).then_some(Self(index as u8))
    }

    /// The index. (As for [`DomainId::index`].)
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) % MAX_GUESTS
    }

    /// Every index.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..MAX_GUESTS).filter_map(Self::new)
    }
}

/// A guest at one time of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRef {
    /// The guest.
    pub id: GuestId,
    /// How many had this index before.
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

/// A page of physical memory, by its number: its physical address divided by the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame(u64);

impl Frame {
    /// The frame of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The frame in which a physical address lies.
    #[must_use]
    pub const fn holding(address: u64) -> Self {
        Self(address / PAGE_BYTES)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The physical address of its first byte.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.0 * PAGE_BYTES
    }

    /// The frame this number of pages further on.
    #[must_use]
    pub const fn after(self, pages: u64) -> Self {
        Self(self.0 + pages)
    }
}

/// An address that can be a domain's: below [`DOMAIN_END`], and so canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainAddress(u64);

impl DomainAddress {
    /// This address, if it can be a domain's.
    #[must_use]
    pub const fn new(address: u64) -> Option<Self> {
        if address < DOMAIN_END { Some(Self(address)) } else { None }
    }

    /// The address.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_domain_is_below_the_kernels() {
        assert_eq!(DomainAddress::new(DOMAIN_END - 1).map(DomainAddress::get), Some(DOMAIN_END - 1));
        assert_eq!(DomainAddress::new(DOMAIN_END), None);
        assert_eq!(DomainAddress::new(u64::MAX), None);
    }

    #[test]
    fn a_frame_is_named_by_any_address_in_it() {
        assert_eq!(Frame::holding(0x1fff), Frame::new(1));
        assert_eq!(Frame::holding(0x2000).address(), 0x2000);
        assert_eq!(Frame::new(3).after(4), Frame::new(7));
    }
}
