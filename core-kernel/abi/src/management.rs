//! What the manifest lets clients of the manager have done to which domains, and its groups of domains, as the manager
//! reads them.
//!
//! It is one of the settings ([`SETTINGS_MANAGEMENT`](crate::info::SETTINGS_MANAGEMENT)): a [`ManagementHeader`], as many
//! [`Permit`] as it says, then as many [`Group`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, limits::MAX_DOMAINS};

/// Something that a client of the manager can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operation {
    /// Be told which domains and groups there are, and how each is.
    List = 0,
    /// Be told all that is known of a domain.
    Info = 1,
    /// Be told how much memory there is for domains.
    Budget = 2,
    /// Have a domain started.
    Start = 3,
    /// Choose the program with which it is started.
    SetImage = 4,
    /// Have it asked to end.
    Shutdown = 5,
    /// Have it ended.
    Kill = 6,
    /// Have it held.
    Pause = 7,
    /// Have it go on.
    Resume = 8,
    /// Have kept what it is, and have it ended.
    Save = 9,
    /// Have it go on from there.
    Restore = 10,
}

impl Operation {
    /// Every operation, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::List,
        Self::Info,
        Self::Budget,
        Self::Start,
        Self::SetImage,
        Self::Shutdown,
        Self::Kill,
        Self::Pause,
        Self::Resume,
        Self::Save,
        Self::Restore,
    ];

    /// Its name, in a manifest and behind `--`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Info => "info",
            Self::Budget => "budget",
            Self::Start => "start",
            Self::SetImage => "set-image",
            Self::Shutdown => "shutdown",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Save => "save",
            Self::Restore => "restore",
        }
    }

    /// The operation with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The bit that stands for it in [`Permit::operations`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The start of the table.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ManagementHeader {
    /// How many permits there are.
    pub permits: u32,
    /// How many groups there are.
    pub groups: u32,
}

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Permit {
    /// The client, as the manager's gate numbers it.
    pub badge: u32,
    /// What: bits of [`Operation`].
    pub operations: u32,
    /// Of which domains: a bit for each, by its place in the manifest.
    pub domains: u32,
}

/// Domains that are started together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// How many there are.
    pub count: u32,
    /// Their places in the manifest, in the order in which they are started.
    pub members: [u8; MEMBERS],
}

/// Domains that a group has room for.
pub const MEMBERS: usize = MAX_DOMAINS.next_multiple_of(4);

impl Group {
    /// The places of its domains.
    #[must_use]
    pub fn members(&self) -> &[u8] {
        self.members.get(..self.count as usize).unwrap_or(&self.members)
    }
}

/// The permits and the groups. None if the bytes are no such table.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(&[Permit], &[Group])> {
    let (header, rest) = ManagementHeader::ref_from_prefix(bytes).ok()?;
    let (permits, rest) = <[Permit]>::ref_from_prefix_with_elems(rest, header.permits as usize).ok()?;
    let (groups, _) = <[Group]>::ref_from_prefix_with_elems(rest, header.groups as usize).ok()?;
    Some((permits, groups))
}
