//! The registers of a TPM, and what extending makes of them.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Number of registers.
pub const PCRS: usize = 24;
/// The most bytes that a register of these banks has.
const MAX_BYTES: usize = 32;
/// Registers that begin with all bits set: those of a late launch (TCG *PC Client Platform TPM Profile*, section 4.6).
const LATE: core::ops::RangeInclusive<usize> = 17..=22;

/// A bank of registers: one for each hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Bank {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    /// Its name, as the tools of TPM 2.0 have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The number of its hash (TCG *Algorithm Registry*, table 3).
    #[must_use]
    pub const fn algorithm(self) -> u16 {
        match self {
            Self::Sha1 => 0x04,
            Self::Sha256 => 0x0b,
        }
    }

    /// Length of a digest, in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The hash of one run of bytes after another.
    fn hash(self, parts: [&[u8]; 2]) -> [u8; MAX_BYTES] {
        let mut digest = [0; MAX_BYTES];
        match self {
            Self::Sha1 => {
                let hash = parts.iter().fold(Sha1::new(), |hash, part| hash.chain_update(part));
                digest[..self.bytes()].copy_from_slice(&hash.finalize());
            }
            Self::Sha256 => {
                let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
                digest.copy_from_slice(&hash.finalize());
            }
        }
        digest
    }
}

/// The digests of something, one for each bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    sha1: [u8; 20],
    sha256: [u8; 32],
}

impl Digests {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts([bytes])
    }

    /// Of runs of bytes, one after the other.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let start = (Sha1::new(), Sha256::new());
        let (sha1, sha256) = parts
            .into_iter()
            .fold(start, |(sha1, sha256), part| (sha1.chain_update(part), sha256.chain_update(part)));
        Self { sha1: sha1.finalize().into(), sha256: sha256.finalize().into() }
    }

    /// The one of a bank.
    #[must_use]
    pub fn get(&self, bank: Bank) -> &[u8] {
        match bank {
            Bank::Sha1 => &self.sha1,
            Bank::Sha256 => &self.sha256,
        }
    }
}

/// The registers of one bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    bank: Bank,
    values: [[u8; MAX_BYTES]; PCRS],
}

impl Registers {
    /// As they are when the machine has been switched on.
    #[must_use]
    pub fn new(bank: Bank) -> Self {
        let mut values = [[0; MAX_BYTES]; PCRS];
        values[LATE].fill([0xff; MAX_BYTES]);
        Self { bank, values }
    }

    /// Lets the first register begin at this locality, as firmware says of itself in the log.
    pub(crate) fn start_at(&mut self, locality: u8) {
        self.values[0][self.bank.bytes() - 1] = locality;
    }

    /// Extends a register with a digest of the bank. Returns false if there is no such register.
    pub fn extend(&mut self, pcr: u32, digest: &[u8]) -> bool {
        let Some(value) = self.values.get_mut(pcr as usize) else { return false };
        *value = self.bank.hash([&value[..self.bank.bytes()], digest]);
        true
    }

    /// The bank.
    #[must_use]
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// The value of a register; nothing if there is none.
    #[must_use]
    pub fn value(&self, pcr: u32) -> &[u8] {
        self.values.get(pcr as usize).map_or(&[], |value| &value[..self.bank.bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a value, as tools print it.
    fn starts(value: &[u8], text: &str) -> bool {
        let digits = value.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        text.chars()
            .map(|digit| digit.to_digit(16))
            .eq(digits.take(text.len()).map(|digit| Some(digit.into())))
    }

    #[test]
    fn separators_make_the_values_that_every_machine_shows() {
        // SeaBIOS extends with four bytes of ones, OVMF with four bytes of zeros.
        for (separator, bank, value) in [
            ([0xff; 4], Bank::Sha1, "3a3f780f11a4b49969fcaa80cd6e3957c33b2275"),
            ([0xff; 4], Bank::Sha256, "e21b703e"),
            ([0; 4], Bank::Sha1, "b2a83b0ebf2f8374299a5b2bdfc31ea955ad7236"),
            ([0; 4], Bank::Sha256, "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"),
        ] {
            let mut registers = Registers::new(bank);
            assert!(registers.extend(6, Digests::of(&separator).get(bank)));
            assert!(starts(registers.value(6), value), "{bank:?} {:x?}", registers.value(6));
        }
    }

    #[test]
    fn registers_of_a_late_launch_begin_with_ones_and_there_are_no_others() {
        let mut registers = Registers::new(Bank::Sha1);
        assert_eq!(registers.value(16), [0; 20]);
        assert_eq!(registers.value(17), [0xff; 20]);
        assert_eq!(registers.value(22), [0xff; 20]);
        assert_eq!(registers.value(23), [0; 20]);
        assert_eq!(registers.value(24), []);
        assert!(!registers.extend(24, &[0; 20]));
    }
}
