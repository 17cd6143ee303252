//! How long an event of firmware's log is (TCG *PC Client Platform Firmware Profile*, section 10.2.2).

/// The most digests that an event can have; a log that has more is none.
const MAX_DIGESTS: u32 = 8;
/// The longest text of an event that is taken for one.
const MAX_DATA: u32 = 64 << 10;
/// Register, kind and number of digests.
const HEADER_BYTES: usize = 12;
/// What stands before a digest, and what stands before the text.
const ALGORITHM_BYTES: usize = 2;
const LENGTH_BYTES: usize = 4;

/// How long an event is, of which `word` reads the word that begins at a byte. None if it is none, or a word of it is not
/// there.
pub fn event_bytes(word: impl Fn(usize) -> Option<u32>) -> Option<usize> {
    let count = word(8).filter(|count| *count <= MAX_DIGESTS)?;
    let mut end = HEADER_BYTES;
    for _ in 0..count {
        // A digest follows, so there is a whole word. Lengths (TCG *Algorithm Registry*): SHA-1, SHA-256, SHA-384,
        // SHA-512, SM3.
        end += ALGORITHM_BYTES
            + match word(end)? as u16 {
                0x04 => 20,
                0x0b | 0x12 => 32,
                0x0c => 48,
                0x0d => 64,
                _ => return None,
            };
    }
    let data = word(end).filter(|bytes| *bytes <= MAX_DATA)?;
    Some(end + LENGTH_BYTES + data as usize)
}

#[cfg(test)]
mod tests {
    use cloison_measure::{
        Digests,
        log::{kind, write_event},
    };

    use super::*;

    fn length(bytes: &[u8]) -> Option<usize> {
        event_bytes(|at| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
    }

    /// An event of ours, with a change.
    fn changed(place: usize, value: u8) -> Option<usize> {
        let mut event = Vec::new();
        write_event(&mut event, 9, kind::LOADER, &Digests::of(b"kernel"), b"kernel");
        event[place] = value;
        length(&event)
    }

    #[test]
    fn an_event_is_as_long_as_it_was_written() {
        for bytes in [0, 1, 100, MAX_DATA as usize] {
            let mut event = Vec::new();
            write_event(&mut event, 13, kind::LOADER, &Digests::of(b""), &vec![7; bytes]);
            assert_eq!(length(&event), Some(event.len()));
            // Only its words are read, and its text is not.
            assert_eq!(length(&event[..event.len() - bytes]), Some(event.len()));
            assert_eq!(length(&event[..event.len() - bytes - 1]), None, "cut short");
        }
    }

    #[test]
    fn what_is_no_event_has_no_length() {
        const SECOND_DIGEST: usize = HEADER_BYTES + ALGORITHM_BYTES + 20;
        const TEXT: usize = SECOND_DIGEST + ALGORITHM_BYTES + 32;
        assert_eq!(changed(0, 9), Some(TEXT + LENGTH_BYTES + 6));
        assert_eq!(changed(8, 9), None, "nine digests");
        assert_eq!(changed(8 + 3, 1), None, "very many digests");
        assert_eq!(changed(HEADER_BYTES, 5), None, "of an unknown hash");
        assert_eq!(changed(SECOND_DIGEST + 1, 1), None, "of an unknown hash");
        assert_eq!(changed(SECOND_DIGEST, 0x0d), None, "a longer digest than there is");
        assert_eq!(changed(TEXT + 2, 2), None, "a text of 128 KiB");
    }
}
