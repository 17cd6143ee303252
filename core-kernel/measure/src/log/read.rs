//! Reads a log.

use core::fmt;

use super::{SIGNATURE, kind};
use crate::{Bank, registers::PCRS};

/// The most hashes that a log can have.
const MAX_HASHES: usize = 8;
/// Length of the digest in the first event, a SHA-1 of zeros.
const FIRST_DIGEST_BYTES: usize = 20;
/// The longest digest that there is, in bytes.
const MAX_DIGEST_BYTES: u16 = 64;

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLog {
    /// The number of the event, from 0, which is the one that says what follows.
    pub event: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for BadLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "event {}: {}", self.event, self.what)
    }
}

/// A hash that a log has, and the length of its digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Algorithm {
    number: u16,
    bytes: u16,
}

/// A log whose first event has been read.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    algorithms: [Algorithm; MAX_HASHES],
    count: usize,
    rest: &'a [u8],
}

/// An event.
#[derive(Clone, Copy, Debug)]
pub struct LogEvent<'a> {
    /// The register.
    pub pcr: u32,
    /// What kind of event it is; see [`kind`].
    pub kind: u32,
    /// What it says about itself.
    pub data: &'a [u8],
    digests: [&'a [u8]; Bank::ALL.len()],
}

impl<'a> LogEvent<'a> {
    /// What a bank's register is extended with; nothing if the log does not have that bank.
    #[must_use]
    pub fn digest(&self, bank: Bank) -> &'a [u8] {
        self.digests[bank as usize]
    }
}

impl<'a> Log<'a> {
    /// Reads the first event, which says which hashes follow.
    ///
    /// # Errors
    ///
    /// When it is not as it has to be.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BadLog> {
        let mut bytes = Bytes(bytes);
        first(&mut bytes).map(|log| Self { rest: bytes.0, ..log }).map_err(|what| BadLog { event: 0, what })
    }

    /// Whether its events have digests of this bank.
    #[must_use]
    pub fn has(&self, bank: Bank) -> bool {
        self.algorithms().iter().any(|algorithm| algorithm.number == bank.algorithm())
    }

    /// The hashes of which each of its events has a digest, by their numbers.
    pub fn hashes(&self) -> impl ExactSizeIterator<Item = u16> {
        self.algorithms().iter().map(|algorithm| algorithm.number)
    }

    fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms[..self.count]
    }

    /// The events. The first one that cannot be read ends them.
    pub fn events(self) -> impl Iterator<Item = Result<LogEvent<'a>, BadLog>> {
        let mut rest = Bytes(self.rest);
        let mut number = 0;
        core::iter::from_fn(move || {
            if rest.0.is_empty() {
                return None;
            }
            number += 1;
            let event = self.event(&mut rest);
            if event.is_err() {
                rest = Bytes(&[]);
            }
            Some(event.map_err(|what| BadLog { event: number, what }))
        })
    }

    fn event(&self, bytes: &mut Bytes<'a>) -> Result<LogEvent<'a>, &'static str> {
        let (pcr, kind) = (bytes.word()?, bytes.word()?);
        if kind != kind::NO_ACTION && pcr as usize >= PCRS {
            return Err("there is no such register");
        }
        if bytes.word()? as usize != self.count {
            return Err("it does not have one digest for each hash");
        }
        let mut digests = [&[][..]; Bank::ALL.len()];
        let mut seen = [false; MAX_HASHES];
        for _ in 0..self.count {
            let number = bytes.half()?;
            let place = self.algorithms().iter().position(|algorithm| algorithm.number == number);
            let place = place.ok_or("it has a digest of a hash that the log does not have")?;
            if core::mem::replace(&mut seen[place], true) {
                return Err("it has two digests of one hash");
            }
            let digest = bytes.take(self.algorithms[place].bytes.into())?;
            if let Some(bank) = Bank::ALL.into_iter().find(|bank| bank.algorithm() == number) {
                digests[bank as usize] = digest;
            }
        }
        let data_bytes = bytes.word()? as usize;
        Ok(LogEvent { pcr, kind, data: bytes.take(data_bytes)?, digests })
    }
}

/// Reads the first event.
fn first<'a>(bytes: &mut Bytes<'a>) -> Result<Log<'a>, &'static str> {
    let (pcr, kind) = (bytes.word()?, bytes.word()?);
    let digest = bytes.take(FIRST_DIGEST_BYTES)?;
    if (pcr, kind) != (0, kind::NO_ACTION) || digest.iter().any(|byte| *byte != 0) {
        return Err("it does not say which hashes follow");
    }
    let data_bytes = bytes.word()? as usize;
    let mut data = Bytes(bytes.take(data_bytes)?);
    if data.take(SIGNATURE.len())? != SIGNATURE {
        return Err("it does not say which hashes follow");
    }
    // Class of the platform; version of the form, major behind minor; errata; size of an address.
    let _class = data.word()?;
    let [_, major, _, _] = data.word()?.to_le_bytes();
    if major != 2 {
        return Err("it is of another version");
    }
    let count = data.word()? as usize;
    if !(1..=MAX_HASHES).contains(&count) {
        return Err("it has no hashes, or more than there are");
    }
    let mut algorithms = [Algorithm::default(); MAX_HASHES];
    for place in 0..count {
        let algorithm = Algorithm { number: data.half()?, bytes: data.half()? };
        let fits = (1..=MAX_DIGEST_BYTES).contains(&algorithm.bytes)
            && Bank::ALL
                .iter()
                .all(|bank| bank.algorithm() != algorithm.number || bank.bytes() == algorithm.bytes.into());
        if !fits {
            return Err("it has a hash with digests of another length");
        }
        if algorithms[..place].iter().any(|before| before.number == algorithm.number) {
            return Err("it has one hash twice");
        }
        algorithms[place] = algorithm;
    }
    let [vendor_bytes] = data.take(1)? else { return Err(CUT) };
    data.take((*vendor_bytes).into())?;
    if !data.0.is_empty() {
        return Err("it is longer than what it says");
    }
    Ok(Log { algorithms, count, rest: &[] })
}

/// What is wrong with an event that is not all there.
const CUT: &str = "it is cut short";

/// Bytes that have not been read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn half(&mut self) -> Result<u16, &'static str> {
        self.array().map(u16::from_le_bytes)
    }

    fn word(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_le_bytes)
    }
}
