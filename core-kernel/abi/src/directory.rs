//! The domains of the system, as the manifest has them, for a shell to tell a person.
//!
//! It is one of the settings ([`SETTINGS_DIRECTORY`](crate::info::SETTINGS_DIRECTORY)): as many [`DirectoryEntry`] as the
//! first says, then their texts.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Name;

/// A domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: Name,
    /// What its program is called.
    pub component: Name,
    /// Its priority.
    pub priority: u32,
    /// How many entries there are: the same in each.
    pub entries: u32,
    /// Where the text about whom it can reach begins, behind the last entry.
    pub reach_start: u32,
    /// How many bytes that text has.
    pub reach_bytes: u32,
}

/// The entries of a directory, and their texts. None if the bytes are no directory.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(&[DirectoryEntry], &str)> {
    let (first, _) = DirectoryEntry::ref_from_prefix(bytes).ok()?;
    let count = usize::try_from(first.entries).ok()?;
    let (entries, texts) = <[DirectoryEntry]>::ref_from_prefix_with_elems(bytes, count).ok()?;
    Some((entries, core::str::from_utf8(texts).ok()?))
}

impl DirectoryEntry {
    /// The text about whom the domain can reach.
    #[must_use]
    pub fn reach<'a>(&self, texts: &'a str) -> &'a str {
        let start = self.reach_start as usize;
        texts.get(start..start.saturating_add(self.reach_bytes as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn entry(name: &str, reach_start: u32, reach_bytes: u32) -> DirectoryEntry {
        let name = Name::new(name).unwrap();
        DirectoryEntry { name, component: name, priority: 1, entries: 2, reach_start, reach_bytes }
    }

    /// Aligned, as settings are.
    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes
            .chunks(4)
            .map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)))
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let entries = [entry("ore", 0, 3), entry("nic", 3, 5)];
        let bytes = words(&[entries.as_bytes(), b"onetwo!!"].concat());
        let (found, texts) = read(bytes.as_bytes()).unwrap();
        assert_eq!(found, entries);
        assert_eq!(found.iter().map(|entry| entry.reach(texts)).collect::<Vec<_>>(), ["one", "two!!"]);
    }

    #[test]
    fn what_is_cut_short_is_none_and_texts_out_of_reach_are_empty() {
        let bytes = words(entry("ore", 0, 3).as_bytes());
        assert_eq!(read(bytes.as_bytes()), None, "two are promised");
        assert_eq!(read(&[]), None);
        for (start, length) in [(0, 9), (u32::MAX, u32::MAX), (9, 0)] {
            assert_eq!(entry("ore", start, length).reach("texts"), "");
        }
    }
}
