//! Which sectors of the disk are a client's: the one rule that keeps clients apart.

use alloc::vec::Vec;
use core::fmt;

use disk_api::Choice;

use crate::Table;

/// A run of sectors of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first.
    pub first: u64,
    /// How many.
    pub sectors: u64,
    /// Whether they can only be read.
    pub is_read_only: bool,
}

/// Why a client has no part of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no partition of this number.
    NoPartition(u8),
    /// Some of its sectors are another client's too, by the other's place among all, and one of the two may write.
    Shared(usize),
}

impl Part {
    /// The disk's number of a client's sector, if all `sectors` from `first` on are of this part.
    #[must_use]
    pub fn locate(&self, first: u64, sectors: u64) -> Option<u64> {
        let end = first.checked_add(sectors)?;
        if end <= self.sectors { self.first.checked_add(first) } else { None }
    }

    /// Whether a sector is of both.
    fn overlaps(&self, other: &Self) -> bool {
        let end = |part: &Self| part.first.saturating_add(part.sectors);
        self.first < end(other) && other.first < end(self)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.is_read_only { "read-only" } else { "read and write" };
        write!(out, "{} sectors from {} on, {access}", self.sectors, self.first)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPartition(number) => write!(out, "there is no partition {number}"),
            Self::Shared(other) => {
                write!(out, "sectors of it are client {other}'s, and one of the two may write")
            }
        }
    }
}

/// Gives each client its part: all of the disk, or a partition. Two may share sectors if neither writes; of those who
/// may not, the first has them.
#[must_use]
pub fn assign(whole: Part, table: Option<&Table>, choices: &[Choice]) -> Vec<Result<Part, Unfit>> {
    let mut parts: Vec<Result<Part, Unfit>> = Vec::with_capacity(choices.len());
    for choice in choices {
        let part = choose(whole, table, *choice).and_then(|part| {
            let is_taken = |other: &Result<Part, Unfit>| {
                other.is_ok_and(|other| other.overlaps(&part) && !(other.is_read_only && part.is_read_only))
            };
            parts.iter().position(is_taken).map_or(Ok(part), |other| Err(Unfit::Shared(other)))
        });
        parts.push(part);
    }
    parts
}

/// What a client asks for.
fn choose(whole: Part, table: Option<&Table>, choice: Choice) -> Result<Part, Unfit> {
    let is_read_only = whole.is_read_only || choice.is_read_only;
    if choice.partition == 0 {
        return Ok(Part { is_read_only, ..whole });
    }
    let partition = table.and_then(|table| table.partition(choice.partition));
    let (first, sectors) = partition.ok_or(Unfit::NoPartition(choice.partition))?;
    Ok(Part { first, sectors, is_read_only })
}

#[cfg(test)]
mod tests;
