//! The checksum of a GPT: CRC-32 as in IEEE 802.3, bit by bit, because a table is read once.

/// The polynomial, its lowest bit first.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// A checksum of what has come so far.
#[derive(Debug)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32 {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(!0)
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = self.0 >> 1 ^ if self.0 & 1 == 1 { POLYNOMIAL } else { 0 };
            }
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn end(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_example_has_its_checksum() {
        let mut sum = Crc32::new();
        sum.add(b"1234");
        sum.add(b"56789");
        assert_eq!(sum.end(), 0xcbf4_3926);
    }
}
