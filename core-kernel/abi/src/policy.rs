//! The policy of the manifest, as the monitor reads it: the types of domains, and what each may do to each.
//!
//! It is one of the settings ([`SETTINGS_POLICY`](crate::info::SETTINGS_POLICY)): a [`PolicyHeader`], as many
//! [`PolicyDomain`] as it says, then as many [`PolicyRule`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Name;

/// Types that a policy can have.
pub const MAX_TYPES: usize = 16;

/// The start of a policy.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyHeader {
    /// How many domains there are. They have the indices from [`FIRST_INDEX`] on.
    pub domains: u32,
    /// How many rules there are.
    pub rules: u32,
    /// Names of the types.
    pub types: [Name; MAX_TYPES],
}

/// Index of the first domain of a plan in the kernel's tables: that of the builder is one less.
pub const FIRST_INDEX: u32 = 2;

/// A domain.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyDomain {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub kind: u32,
    /// About what the monitor is asked before it does so: [`Classes`](crate::access::Classes).
    pub asked: u32,
}

/// What domains of one type may do to those of another one.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyRule {
    /// The type of who does it.
    pub from: u32,
    /// The type to which it is done.
    pub to: u32,
    /// What: [`Classes`](crate::access::Classes).
    pub may: u32,
    /// The line of the manifest that says so.
    pub line: u32,
}
