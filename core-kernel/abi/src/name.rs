//! Names of domains, gates and regions, as they travel in tables.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A name of at most 16 bytes of ASCII, padded with zeros.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Name([u8; Name::BYTES]);

impl Name {
    /// Longest name, in bytes.
    pub const BYTES: usize = 16;

    /// No name.
    pub const EMPTY: Self = Self([0; Self::BYTES]);

    /// Makes a name. `None` if `text` is longer than [`Name::BYTES`] or holds anything but visible ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() > Self::BYTES || !visible {
            return None;
        }
        let mut bytes = [0; Self::BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(bytes))
    }

    /// The name as two words, as it travels in registers.
    #[must_use]
    pub fn to_words(self) -> [u64; 2] {
        let value = u128::from_le_bytes(self.0);
        [value as u64, (value >> 64) as u64]
    }

    /// The name that two words hold.
    #[must_use]
    pub fn from_words(words: [u64; 2]) -> Self {
        Self((u128::from(words[0]) | u128::from(words[1]) << 64).to_le_bytes())
    }

    /// The name as text. A table that was not made by [`Name::new`] can hold anything; what is not visible
    /// ASCII ends the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(Self::BYTES);
        core::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}
