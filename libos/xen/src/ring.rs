//! Rings of requests and responses in a page (`io/ring.h`), and the entries that devices put into them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a ring's page begins with. All indices run freely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RingHeader {
    /// Requests put in.
    pub requests: u32,
    /// The backend is told when [`Self::requests`] reaches this.
    pub request_event: u32,
    /// Responses put in.
    pub responses: u32,
    /// The guest is told when [`Self::responses`] reaches this.
    pub response_event: u32,
}

/// Where the entries begin in the page; a response takes its request's place.
pub const ENTRIES: u64 = 64;

/// Disks (`io/blkif.h`).
pub mod block {
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    /// Bytes of a sector in all that is said of a disk.
    pub const SECTOR_BYTES: usize = 512;
    /// Segments of a request at most.
    pub const SEGMENTS: usize = 11;
    /// Read.
    pub const READ: u8 = 0;
    /// Write.
    pub const WRITE: u8 = 1;
    /// It was done.
    pub const DONE: i16 = 0;
    /// It went wrong.
    pub const FAILED: i16 = -1;
    /// It is not offered.
    pub const NOT_OFFERED: i16 = -2;
    /// Bit of the key `info`: the disk is read-only.
    pub const INFO_READ_ONLY: u32 = 1 << 2;

    /// What is asked of a disk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct Request {
        /// [`READ`] or [`WRITE`].
        pub operation: u8,
        /// How many of the segments count.
        pub segment_count: u8,
        /// Which disk.
        pub handle: u16,
        /// Nothing.
        pub padding: u32,
        /// The response has the request's.
        pub id: u64,
        /// First sector on the disk.
        pub sector: u64,
        /// Parts of pages, one after the other.
        pub segments: [Segment; SEGMENTS],
    }

    /// Sectors of a page.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct Segment {
        /// Grant of the page.
        pub grant: u32,
        /// First sector.
        pub first: u8,
        /// Last sector.
        pub last: u8,
        /// Nothing.
        pub padding: u16,
    }

    /// What came of it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct Response {
        /// Of the request.
        pub id: u64,
        /// Of the request.
        pub operation: u8,
        /// Nothing.
        pub padding: u8,
        /// [`DONE`], [`FAILED`] or [`NOT_OFFERED`].
        pub status: i16,
        /// Nothing.
        pub padding2: u32,
    }

    const _: () = assert!(size_of::<Request>() == 112 && size_of::<Response>() == 16);
}
