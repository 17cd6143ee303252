//! The policies of the manifest, as the monitor reads them: the types of domains, and what each may do to each.
//!
//! They are one of the settings ([`SETTINGS_POLICY`](crate::info::SETTINGS_POLICY)): a [`PolicyHeader`], as many
//! [`PolicyDomain`] as it says, then as many policies. Each policy is a [`PolicyStart`], and as many [`PolicyRule`] and
//! [`PolicyWall`] as that says. The first is in force when the monitor starts.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Name;

/// Types that domains can have.
pub const MAX_TYPES: usize = 16;
/// Policies that there can be.
pub const MAX_POLICIES: usize = 8;
/// Walls that a policy can have.
pub const MAX_WALLS: usize = 8;
/// Rules that a policy can have, each between two types: one for each two, and as many again.
pub const MAX_RULES: usize = 2 * MAX_TYPES * MAX_TYPES;
/// Name of the policy that is in force when the monitor starts.
pub const FIRST_POLICY: &str = "first";

/// The start of the policies: what all of them are about.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyHeader {
    /// How many domains there are. They have the indices from [`FIRST_INDEX`] on.
    pub domains: u32,
    /// How many policies there are.
    pub policies: u32,
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
    /// Its clients, as bits by their indices, if it passes nothing from one of them to another. Else 0.
    pub apart: u32,
    /// To whom it can tell something about which nobody is asked, as bits by their indices.
    pub tells: u32,
}

/// The start of one policy.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyStart {
    /// Its name.
    pub name: Name,
    /// How many rules it has.
    pub rules: u32,
    /// How many walls it has.
    pub walls: u32,
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

/// Types of which no domain may learn of more than one.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PolicyWall {
    /// Its name.
    pub name: Name,
    /// The types, as bits by their numbers.
    pub between: u32,
    /// The line of the manifest that says so.
    pub line: u32,
}
