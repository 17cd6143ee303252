//! What a domain can be started with.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, image::Digest, info::SETTINGS_KERNELS};

/// Images that a domain can have.
pub const MAX_IMAGES: usize = SETTINGS_KERNELS.len();

/// Something with which a domain that is started on request can begin: the first of its entries, unless the manager asks
/// for another one. A domain without an entry has its program, and no guest that is started with something.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ImageEntry {
    /// What the manager asks for: its name, among those of the domain.
    pub name: Name,
    /// The domain.
    pub domain: u32,
    /// Pages of memory that a guest has to have with it at least; 0 if it is no guest's.
    pub least_pages: u32,
}

/// The program that a domain runs when it lives with an image, in place of its own. It sees what that sees, at the same
/// addresses.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ProgramEntry {
    /// Where its bytes lie in the system image.
    pub image_offset: u64,
    /// How many they are.
    pub image_bytes: u64,
    /// Their digest, checked before anything starts and again before each life.
    pub digest: Digest,
    /// Address of the first instruction.
    pub entry: u64,
    /// The [`ImageEntry`].
    pub image: u32,
    /// Zero.
    pub reserved: u32,
}
