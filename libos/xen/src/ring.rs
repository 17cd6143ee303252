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
    /// What was written before is put where it stays.
    pub const FLUSH: u8 = 3;
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
        /// [`READ`], [`WRITE`] or [`FLUSH`].
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

/// Networks (`io/netif.h`).
pub mod network {
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    /// Flag of a frame that is sent: its transport's checksum is still to be computed.
    pub const SENT_OPEN: u16 = 1;
    /// Flag of a frame that is sent: more of it follows in the next request.
    pub const SENT_MORE: u16 = 1 << 2;
    /// Flag of a frame that is sent: what follows is no part of it.
    pub const SENT_EXTRA: u16 = 1 << 3;
    /// Flag of a frame that comes: its transport's checksum is right.
    pub const CAME_RIGHT: u16 = 1;
    /// Flag of a frame that comes: its transport's checksum is still to be computed.
    pub const CAME_OPEN: u16 = 1 << 1;
    /// It was sent.
    pub const DONE: i16 = 0;
    /// It was not sent; or there is no page for a frame.
    pub const FAILED: i16 = -1;

    /// A part of a frame to send.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct SendRequest {
        /// Grant of the page.
        pub grant: u32,
        /// First byte in the page.
        pub offset: u16,
        /// See [`SENT_OPEN`], [`SENT_MORE`], [`SENT_EXTRA`].
        pub flags: u16,
        /// The response has the request's.
        pub id: u16,
        /// Bytes: in a frame's first request of the whole frame, in others of the part.
        pub bytes: u16,
    }

    /// What came of it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct SendResponse {
        /// Of the request.
        pub id: u16,
        /// [`DONE`] or [`FAILED`].
        pub status: i16,
    }

    /// Room for a frame.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct ReceiveRequest {
        /// The response has the request's.
        pub id: u16,
        /// Nothing.
        pub padding: u16,
        /// Grant of the page.
        pub grant: u32,
    }

    /// A frame that has come.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
    #[repr(C)]
    pub struct ReceiveResponse {
        /// Of the request.
        pub id: u16,
        /// First byte in the page.
        pub offset: u16,
        /// See [`CAME_RIGHT`], [`CAME_OPEN`].
        pub flags: u16,
        /// Bytes, or [`FAILED`].
        pub status: i16,
    }
}
