//! The classic pcap format, as `draft-ietf-opsawg-pcap` describes it: a header, then for each frame a header
//! and its bytes. Numbers are little endian.

use core::time::Duration;

/// Says that times have nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];
/// Longest frame that is recorded whole. Readers believe a file that states more than 256 KiB to be broken.
const LONGEST: u32 = 65_535;
const LINK_ETHERNET: u32 = 1;

/// What a file begins with.
pub const FILE_HEADER: [u8; 24] = file_header();

const fn file_header() -> [u8; 24] {
    let mut bytes = [0; 24];
    let [major, minor] = VERSION;
    // Version: the halves of a word. The two words behind it (time zone, accuracy) are always zero.
    let words = [MAGIC, major as u32 | (minor as u32) << 16, 0, 0, LONGEST, LINK_ETHERNET];
    let mut word = 0;
    while word < words.len() {
        let value = words[word].to_le_bytes();
        let mut byte = 0;
        while byte < value.len() {
            bytes[4 * word + byte] = value[byte];
            byte += 1;
        }
        word += 1;
    }
    bytes
}

/// How many bytes of a frame are recorded.
#[must_use]
pub fn recorded(bytes: usize) -> usize {
    bytes.min(LONGEST as usize)
}

/// What stands in front of a frame of `bytes` bytes that was seen at this time since the epoch.
#[must_use]
pub fn record_header(time: Duration, bytes: usize) -> [u8; 16] {
    let length = u32::try_from(bytes).unwrap_or(u32::MAX);
    let words = [time.as_secs() as u32, time.subsec_nanos(), recorded(bytes) as u32, length];
    let mut header = [0; 16];
    for (place, word) in header.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_are_those_of_the_format() {
        assert_eq!(
            FILE_HEADER,
            [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(
            record_header(Duration::new(3, 5), 60),
            [3, 0, 0, 0, 5, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0]
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let header = record_header(Duration::ZERO, 70_000);
        assert_eq!(header[8..], [0xff, 0xff, 0, 0, 0x70, 0x11, 1, 0]);
        assert_eq!((recorded(70_000), recorded(14)), (65_535, 14));
    }
}
