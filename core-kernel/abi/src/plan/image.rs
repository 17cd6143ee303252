//! What a domain can be started with.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Name;

/// Something with which a domain that is started on request can begin: the first of its entries, unless the manager asks
/// for another one. A domain without an entry has its program, and no guest that is started with something.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ImageEntry {
    /// What the manager asks for: its name, among those of the domain.
    pub name: Name,
    /// The domain.
    pub domain: u32,
    /// Pages of memory that a guest has to have with it at least.
    pub least_pages: u32,
}
