//! Guests, and files whose bytes domains see.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{guest::GUEST_REGIONS, image::Digest};

/// A guest: what a domain runs in address spaces beside its own. See [`crate::guest`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct GuestEntry {
    /// The domain that runs it.
    pub domain: u32,
    /// Its slot, which holds the guest.
    pub slot: u32,
    /// The region whose pages become the guest's page tables.
    pub tables: u32,
    /// The region that begins with the frame page.
    pub frame: u32,
    /// The regions of which the guest's spaces can show pages, by their numbers, or [`NONE`](super::NONE).
    pub attached: [u32; GUEST_REGIONS],
    /// Those among them that the guest may write to: bit 0 is the first.
    pub writable: u32,
}

/// A file in the system image. A region that belongs to nobody holds its bytes from the region's start on; what comes
/// behind them is zero. Domains see it for reading only, so it is loaded once.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FileEntry {
    /// Where the bytes lie in the system image.
    pub image_offset: u64,
    /// How many they are.
    pub image_bytes: u64,
    /// Their digest, checked before anything starts.
    pub digest: Digest,
    /// The region.
    pub region: u32,
    /// Zero.
    pub reserved: u32,
}
