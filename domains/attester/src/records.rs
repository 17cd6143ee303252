//! What is measured after the boot: lines that extend a register, and the log of them.

use alloc::{format, string::String, vec::Vec};

use cloison_abi::measure::PCR_LATER;
use cloison_measure::{
    Later, Log, What,
    later::NAME_END,
    log::{kind, write_hashed},
};
use cloison_tpm::{Error, tpm20::PcrEvent};

use crate::{Transmit, Trouble, run};

/// Room for the log: a line of usual length takes a third of a KiB with the digests of four hashes.
const MAX_BYTES: usize = 64 << 10;
/// Room for a response of the TPM.
const RESPONSE_BYTES: usize = 1024;

/// Why something is not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRecorded<E> {
    /// It is not a line of this kind.
    NotALine,
    /// There is no room.
    Full,
    /// The TPM does not extend the register.
    Trouble(Trouble<E>),
}

/// What has been measured since the boot.
#[derive(Debug)]
pub struct Records {
    hashes: Vec<u16>,
    bytes: Vec<u8>,
    room: usize,
    is_behind: bool,
}

impl Records {
    /// Nothing yet. They go on where this log ends.
    ///
    /// # Errors
    ///
    /// If it is no log.
    pub fn after(log: &[u8]) -> Result<Self, cloison_measure::BadLog> {
        Self::with_room(log, MAX_BYTES)
    }

    pub(crate) fn with_room(log: &[u8], room: usize) -> Result<Self, cloison_measure::BadLog> {
        let hashes = Log::read(log)?.hashes().collect();
        Ok(Self { hashes, bytes: Vec::with_capacity(room), room, is_behind: false })
    }

    /// Their events.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether a life has begun of which they do not tell. Evidence would lead to the register, and be silent of it.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Has the TPM extend its register with what a manager says.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`]. After trouble with the TPM nobody knows whether it has extended the register. If it has, the log does
    /// not lead there any more, and no verifier accepts the machine until it is started again.
    pub fn take<T: Transmit>(
        &mut self,
        tpm: &mut T,
        by: &str,
        line: &[u8],
    ) -> Result<(), NotRecorded<T::Error>> {
        let later = core::str::from_utf8(line).ok().and_then(Later::read).ok_or(NotRecorded::NotALine)?;
        // How far a monitor has come is not for a manager to say.
        if later.what == What::Log {
            return Err(NotRecorded::NotALine);
        }
        let taken = self.append(tpm, &line_of(by, &later));
        // What is not measured is not started. A life after a fault has begun already; its manager tries again.
        if later.what == What::Again {
            self.is_behind = taken.is_err();
        }
        taken
    }

    /// Has the TPM extend its register with how far the log of a monitor has come, if that is news.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`].
    pub fn note_log<T: Transmit>(
        &mut self,
        tpm: &mut T,
        by: &str,
        (entries, head): (u64, [u8; 32]),
    ) -> Result<(), NotRecorded<T::Error>> {
        let line = line_of(by, &Later { what: What::Log, subject: entries, digest: head });
        let is_known = self.bytes.windows(line.len()).any(|known| known == line.as_bytes());
        if is_known { Ok(()) } else { self.append(tpm, &line) }
    }

    fn append<T: Transmit>(&mut self, tpm: &mut T, line: &str) -> Result<(), NotRecorded<T::Error>> {
        const LONGEST_DIGEST: usize = 64;
        let most = 16 + self.hashes.len() * (2 + LONGEST_DIGEST) + line.len();
        if self.bytes.len() + most > self.room {
            return Err(NotRecorded::Full);
        }
        let mut room = [0; RESPONSE_BYTES];
        let event = PcrEvent { register: PCR_LATER, text: line.as_bytes() };
        let hashed = run(tpm, &event, &mut room).map_err(NotRecorded::Trouble)?;
        let digest = |hash: &u16| {
            let lacks = Error::Unexpected { field: "hash of a register", value: (*hash).into() };
            hashed.find(*hash).map(|digest| (*hash, digest)).ok_or(lacks)
        };
        let digests = self.hashes.iter().map(digest).collect::<Result<Vec<_>, _>>();
        let digests = digests.map_err(|error| NotRecorded::Trouble(Trouble::Tpm(error)))?;
        write_hashed(&mut self.bytes, (PCR_LATER, kind::LOADER), digests.into_iter(), line.as_bytes());
        Ok(())
    }
}

/// The line, with whose word it is.
fn line_of<S: core::fmt::Display>(by: &str, later: &Later<S>) -> String {
    format!("{by}{NAME_END}{later}")
}
