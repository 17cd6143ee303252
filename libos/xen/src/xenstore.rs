//! Xenstore's page and messages (`io/xs_wire.h`): a store of small values by path, over two rings of bytes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of each ring.
pub const RING_BYTES: u32 = 1024;
/// Where the ring of requests lies in the page.
pub const REQUESTS: u64 = 0;
/// Where the ring of replies and events lies.
pub const REPLIES: u64 = 1024;
/// What has been taken from the ring of requests.
pub const REQUESTS_CONSUMED: u64 = 2048;
/// What has been put into the ring of requests.
pub const REQUESTS_PRODUCED: u64 = 2052;
/// What has been taken from the ring of replies.
pub const REPLIES_CONSUMED: u64 = 2056;
/// What has been put into the ring of replies.
pub const REPLIES_PRODUCED: u64 = 2060;

/// Bytes that follow a header at most.
pub const PAYLOAD_BYTES: usize = 4096;

/// What each message begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Header {
    /// What it is: see [`kind`].
    pub kind: u32,
    /// The reply has the request's.
    pub request: u32,
    /// Transaction; 0 outside of one.
    pub transaction: u32,
    /// Bytes that follow.
    pub length: u32,
}

/// Kinds of messages.
pub mod kind {
    /// Names below a path.
    pub const DIRECTORY: u32 = 1;
    /// Value of a path.
    pub const READ: u32 = 2;
    /// Who may read and write a path.
    pub const GET_PERMS: u32 = 3;
    /// Tell of changes at and below a path.
    pub const WATCH: u32 = 4;
    /// Tell no more.
    pub const UNWATCH: u32 = 5;
    /// Begin a transaction.
    pub const TRANSACTION_START: u32 = 6;
    /// End a transaction.
    pub const TRANSACTION_END: u32 = 7;
    /// The path of a domain.
    pub const GET_DOMAIN_PATH: u32 = 10;
    /// Give a path a value.
    pub const WRITE: u32 = 11;
    /// Make a path without a value.
    pub const MKDIR: u32 = 12;
    /// Remove a path and all below it.
    pub const RM: u32 = 13;
    /// Say who may read and write a path.
    pub const SET_PERMS: u32 = 14;
    /// A path that is watched has changed.
    pub const WATCH_EVENT: u32 = 15;
    /// A request was refused.
    pub const ERROR: u32 = 16;
    /// Forget all watches.
    pub const RESET_WATCHES: u32 = 21;
}
