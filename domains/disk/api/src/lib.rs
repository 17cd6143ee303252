//! How a domain reads and writes a disk, or its part of one: the interface of the gate `disk`.
//!
//! A client puts data into one of a few places in memory that it shares with the disk's domain, and submits what is to
//! be done with it. An event says that something has ended, and [`disk::Client::finish`] what. [`Disk`] does all of this,
//! and submits again what a disk's domain did not end before it crashed.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod client;
mod option;

pub use client::{Disk, DiskError, Request, find};
pub use cloison_ipc::{Failure, GateLink, Link};
pub use option::Choice;

/// What each gate `disk` is called by the component that offers it, and by those that need one.
pub const GATE: &str = "disk";
/// Bytes of a sector.
pub const SECTOR_BYTES: usize = 512;
/// Requests that a client can have under way.
pub const PLACES: usize = 4;
/// Bytes of a request's data at most: eleven pages, what a request of a Linux guest has at most.
pub const PLACE_BYTES: usize = 11 * 4096;
/// Sectors of a request at most.
pub const PLACE_SECTORS: usize = PLACE_BYTES / SECTOR_BYTES;
/// Memory that client and server share: the places, one after the other.
pub const SHARED_BYTES: usize = PLACES * PLACE_BYTES;

cloison_ipc::choice! {
    /// What is to be done.
    pub enum Operation {
        /// Sectors are read, into the place.
        Read,
        /// Sectors are written, from the place.
        Write,
        /// What was written before, as far as it has ended, is put where it stays when the power goes.
        Flush,
    }
}

cloison_ipc::choice! {
    /// What came of a request.
    pub enum Outcome {
        /// None has ended.
        Nothing,
        /// It was carried out.
        Done,
        /// The disk has failed to.
        Failed,
    }
}

cloison_ipc::interface! {
    /// The gate `disk`.
    pub mod disk {
        /// Why the server refuses.
        refuse Refusal {
            /// The disk cannot be used, or has no such part.
            NoDisk = "there is no such disk, or no such partition of it",
            /// The client has not opened it, in this life of the server.
            NotOpen = "the disk was not opened",
            /// There is no such place.
            NoPlace = "there is no such place in the shared memory",
            /// A request of this client is under way there, or has ended and was not asked for.
            Busy = "the place has a request already",
            /// Some of the sectors are not the client's, or there are none, or more than a place holds.
            OutOfRange = "these sectors are not all on the disk, or too many for one request",
            /// The client may not write.
            ReadOnly = "the disk is read-only",
        }
        /// Opens the disk, or the client's part of it. What the client has left under way is forgotten first.
        open: Open {} -> Opened { sectors: u64, is_read_only: bool };
        /// Submits a request. The data are in the place until it has ended. A flush is about no sectors.
        submit: Submit { place: u8, operation: Operation, sectors: u8, first: u64 } -> Submitted {};
        /// Asks what has ended. Each request is told once, and its place can be used again.
        finish: Finish {} -> Finished { place: u8, outcome: Outcome };
    }
}
