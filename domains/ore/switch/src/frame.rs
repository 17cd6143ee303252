//! The start of an Ethernet frame, parsed once.

/// Bytes of a frame that the switch looks at: the Ethernet header, and two more, so that it reads words. No
/// protocol sends frames that short; shorter ones are dropped.
pub const START_BYTES: usize = 16;

/// Ethertypes that say that a VLAN tag follows: IEEE 802.1Q, 802.1ad, and the number used before 802.1ad.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// A MAC address. Its first byte is the number's lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mac(u64);

impl Mac {
    /// What no frame has for its source.
    pub(crate) const NOBODY: Self = Self(u64::MAX);

    /// The address of a group of receivers, the broadcast address included.
    #[must_use]
    #[inline]
    pub fn is_group(self) -> bool {
        self.0 & 1 != 0
    }

    /// One of those that a switch never forwards: 01:80:c2:00:00:00 to 0f (IEEE 802.1D, table 7-10).
    #[must_use]
    #[inline]
    pub fn is_reserved(self) -> bool {
        const FIRST: u64 = 0x0000_00c2_8001;
        self.0 & 0xf0ff_ffff_ffff == FIRST
    }

    /// The address as a number below 2⁴⁸.
    #[must_use]
    #[inline]
    pub fn number(self) -> u64 {
        self.0
    }

    /// A number below 64 that differs for most addresses that differ.
    #[must_use]
    #[inline]
    pub(crate) fn hash(self) -> usize {
        // The last bytes differ most; an odd factor carries every bit of them to the top.
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
    }
}

impl From<[u8; 6]> for Mac {
    fn from([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

impl core::fmt::Display for Mac {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, f, ..] = self.0.to_le_bytes();
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// What the switch knows of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whom it is for.
    pub destination: Mac,
    /// Whom it says that it is from.
    pub source: Mac,
    /// What is in it.
    pub ethertype: u16,
    /// Length of the whole frame, in bytes.
    pub bytes: usize,
}

impl Header {
    /// The header of a frame that starts so and is `bytes` bytes long.
    #[must_use]
    #[inline]
    pub fn parse(start: &[u8; START_BYTES], bytes: usize) -> Self {
        let [first, second] = [0, 8].map(|at| {
            let word = [0, 1, 2, 3, 4, 5, 6, 7].map(|byte| start[at + byte]);
            u64::from_le_bytes(word)
        });
        Self {
            destination: Mac(first & 0xffff_ffff_ffff),
            source: Mac(first >> 48 | (second & 0xffff_ffff) << 16),
            ethertype: ((second >> 32) as u16).swap_bytes(),
            bytes,
        }
    }

    /// Whether a VLAN tag follows.
    #[must_use]
    #[inline]
    pub fn is_tagged(&self) -> bool {
        TAGS.contains(&self.ethertype)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn a_frame_is_parsed() {
        let header = Header::parse(b"\x01\x02\x03\x04\x05\x06\x0a\x0b\x0c\x0d\x0e\x0f\x08\x06xx", 60);
        assert_eq!(header.destination.to_string(), "01:02:03:04:05:06");
        assert_eq!(header.source, Mac::from([10, 11, 12, 13, 14, 15]));
        assert_eq!((header.ethertype, header.bytes, header.is_tagged()), (0x0806, 60, false));
        assert!(Header { ethertype: 0x8100, ..header }.is_tagged());
        assert!(Header { ethertype: 0x88a8, ..header }.is_tagged());
    }

    #[test]
    fn addresses_are_of_one_or_of_a_group() {
        assert!(!Mac::from([2, 0, 0, 0, 0, 1]).is_group());
        assert!(Mac::from([0xff; 6]).is_group());
        for last in 0..=255 {
            assert_eq!(Mac::from([1, 0x80, 0xc2, 0, 0, last]).is_reserved(), last < 16, "{last}");
        }
        assert!(!Mac::from([1, 0x80, 0xc2, 0, 1, 0]).is_reserved());
    }
}
