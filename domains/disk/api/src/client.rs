//! The client, which never waits: its domain does that, and looks again when an event has come.

use core::fmt;

use cloison_abi::CallError;
use cloison_ipc::{Failure, GateLink, Link};

use crate::{
    Operation, Outcome, PLACE_BYTES, PLACES, SHARED_BYTES,
    disk::{self, Opened, Refusal},
};

/// Why there is no disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The manifest gave this domain no disk by that name.
    NotGiven,
    /// The memory shared with the disk's domain is too small.
    TooLittleMemory,
    /// The disk's domain refused, or could not be reached.
    Service(Failure<Refusal>),
}

impl DiskError {
    /// The disk's domain was restarted or is just being restarted: it is worth while to try again.
    #[must_use]
    pub fn is_restart(&self) -> bool {
        matches!(self, Self::Service(failure) if is_restart(failure))
    }
}

fn is_restart(failure: &Failure<Refusal>) -> bool {
    matches!(failure, Failure::Call(CallError::PeerFailed) | Failure::Refused(Refusal::NotOpen))
}

impl fmt::Display for DiskError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGiven => write!(out, "this domain was given no disk; add `disks` to it in the manifest"),
            Self::TooLittleMemory => write!(
                out,
                "the memory shared with the disk's domain is too small: `shared_pages` has to make {SHARED_BYTES} bytes"
            ),
            Self::Service(failure) => failure.fmt(out),
        }
    }
}

impl core::error::Error for DiskError {}

/// The way to a disk's domain by the gate that this domain's `domain.toml` calls `name`.
///
/// # Errors
/// [`DiskError::NotGiven`], [`DiskError::TooLittleMemory`].
pub fn find(name: &str) -> Result<GateLink, DiskError> {
    let link = GateLink::find(name).ok_or(DiskError::NotGiven)?;
    if link.shared_bytes() < SHARED_BYTES { Err(DiskError::TooLittleMemory) } else { Ok(link) }
}

/// What is to be done, and with which sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub operation: Operation,
    /// The first sector; 0 for a flush.
    pub first: u64,
    /// How many; 0 for a flush.
    pub sectors: u8,
}

/// What a place is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    /// The caller has taken it.
    Taken,
    /// The disk's domain did not take the request: it is down.
    Kept(Request),
    /// The disk's domain has the request.
    Submitted(Request),
    /// It has ended, or was refused, and the caller does not know yet.
    Ended(bool),
}

/// An open disk, or a part of one.
#[derive(Debug)]
pub struct Disk<L: Link = GateLink> {
    link: L,
    about: Opened,
    uses: [Use; PLACES],
    /// The disk's domain is down, or is in another life and does not know this client.
    is_lost: bool,
}

impl<L: Link> Disk<L> {
    /// Opens the disk behind a link.
    ///
    /// # Errors
    /// [`DiskError::Service`].
    pub fn open(link: L) -> Result<Self, DiskError> {
        let about = disk::Client::new(&link).open().map_err(DiskError::Service)?;
        Ok(Self { link, about, uses: [Use::Free; PLACES], is_lost: false })
    }

    /// Forgets all that is under way, as if the disk had just been opened. What is being written may be written still.
    pub fn reset(&mut self) {
        self.uses = [Use::Free; PLACES];
        self.is_lost = true;
        self.recover();
    }

    /// How many sectors it has.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.about.sectors
    }

    /// Whether it cannot be written.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.about.is_read_only
    }

    /// Whether the disk's domain is down, so that [`Self::next_ended`] should be asked again a little later: no event
    /// says that it is back.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Takes a place for a request, if there is one.
    pub fn take_place(&mut self) -> Option<usize> {
        let place = self.uses.iter().position(|used| *used == Use::Free)?;
        self.uses[place] = Use::Taken;
        Some(place)
    }

    /// Copies bytes into a place. False if they do not fit.
    pub fn fill(&self, place: usize, at: usize, bytes: &[u8]) -> bool {
        offset(place, at, bytes.len()).is_some_and(|offset| self.link.write(offset, bytes))
    }

    /// Copies bytes out of a place. False if they do not all lie in it.
    pub fn read(&self, place: usize, at: usize, bytes: &mut [u8]) -> bool {
        offset(place, at, bytes.len()).is_some_and(|offset| self.link.read(offset, bytes))
    }

    /// Submits a request with what is in a place that was taken. [`Self::next_ended`] says what comes of it.
    pub fn submit(&mut self, place: usize, request: Request) {
        if self.uses[place] == Use::Taken {
            self.uses[place] = Use::Kept(request);
            self.submit_kept(place);
        }
    }

    fn submit_kept(&mut self, place: usize) {
        let Use::Kept(Request { operation, first, sectors }) = self.uses[place] else { return };
        if self.is_lost {
            return;
        }
        self.uses[place] = match disk::Client::new(&self.link).submit(place as u8, operation, sectors, first)
        {
            Ok(_) => Use::Submitted(Request { operation, first, sectors }),
            Err(failure) if is_restart(&failure) => {
                self.is_lost = true;
                return;
            }
            Err(_) => Use::Ended(false),
        };
    }

    /// A request that has ended: its place, and whether it was carried out. The place stays taken until
    /// [`Self::release`].
    pub fn next_ended(&mut self) -> Option<(usize, bool)> {
        self.recover();
        let has_submitted = self.uses.iter().any(|used| matches!(used, Use::Submitted(_)));
        if has_submitted && !self.is_lost {
            self.finish();
        }
        let ended = |(place, used): (usize, &Use)| match used {
            Use::Ended(is_done) => Some((place, *is_done)),
            _ => None,
        };
        let (place, is_done) = self.uses.iter().enumerate().find_map(ended)?;
        self.uses[place] = Use::Taken;
        Some((place, is_done))
    }

    /// Asks what has ended.
    fn finish(&mut self) {
        match disk::Client::new(&self.link).finish() {
            Ok(finished) if finished.outcome == Outcome::Nothing => {}
            Ok(finished) => {
                // A server that names another place says nothing of ours.
                if let Some(used @ Use::Submitted(_)) = self.uses.get_mut(usize::from(finished.place)) {
                    *used = Use::Ended(finished.outcome == Outcome::Done);
                }
            }
            Err(failure) if is_restart(&failure) => {
                self.is_lost = true;
                self.recover();
            }
            Err(_) => {}
        }
    }

    /// Opens the disk again if its domain is in another life, and submits what that did not end: to read or write a sector
    /// twice is the same as once.
    fn recover(&mut self) {
        if !self.is_lost {
            return;
        }
        match disk::Client::new(&self.link).open() {
            Ok(about) => self.about = about,
            Err(failure) if is_restart(&failure) => return,
            // It is back, and cannot be used.
            Err(_) => self.about.sectors = 0,
        }
        self.is_lost = false;
        for place in 0..PLACES {
            if let Use::Submitted(request) = self.uses[place] {
                self.uses[place] = Use::Kept(request);
            }
            self.submit_kept(place);
        }
    }

    /// Gives up what the disk's domain does not end because it is down: it has failed. What comes next has another try.
    pub fn give_up(&mut self) {
        let is_lost = self.is_lost;
        let open = self.uses.iter_mut().filter(|used| matches!(used, Use::Kept(_) | Use::Submitted(_)));
        open.filter(|_| is_lost).for_each(|used| *used = Use::Ended(false));
    }

    /// Lets go of a place.
    pub fn release(&mut self, place: usize) {
        if self.uses[place] == Use::Taken {
            self.uses[place] = Use::Free;
        }
    }
}

fn offset(place: usize, at: usize, bytes: usize) -> Option<usize> {
    let end = at.checked_add(bytes)?;
    (place < PLACES && end <= PLACE_BYTES).then_some(place * PLACE_BYTES + at)
}

#[cfg(test)]
mod tests;
