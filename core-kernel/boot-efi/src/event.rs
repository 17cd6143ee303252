//! How long an event of firmware's log is (TCG *PC Client Platform Firmware Profile*, section 10.2.2), and events of the older
//! form (section 10.2.1), which firmware keeps for a TPM 1.2.

use core::iter;

use cloison_measure::{Bank, log::write_hashed};

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

/// Of an event of the older form: register and kind; the digest behind them; all before its text.
const OLD_START: usize = 8;
const OLD_DIGEST: usize = 20;
const OLD_HEADER_BYTES: usize = OLD_START + OLD_DIGEST + LENGTH_BYTES;
/// Registers that a TPM for PCs has.
const REGISTERS: u32 = 24;

/// How long an event of the older form is, of which `word` reads the word that begins at a byte. None if it is none: where
/// firmware has logged nothing yet, no bit or each bit is set.
pub fn old_event_bytes(word: impl Fn(usize) -> Option<u32>) -> Option<usize> {
    let (pcr, kind) = (word(0)?, word(4)?);
    let data = word(OLD_START + OLD_DIGEST)?;
    let is_event = pcr < REGISTERS && kind != 0 && data <= MAX_DATA;
    is_event.then_some(OLD_HEADER_BYTES + data as usize)
}

/// Writes an event of the older form in the newer one, as of a log that has SHA-1 alone. What is shorter than its header is none,
/// and not written.
pub fn write_old_event(out: &mut impl Extend<u8>, event: &[u8]) {
    let Some((header, data)) = event.split_first_chunk::<OLD_HEADER_BYTES>() else { return };
    let [a, b, c, d, e, f, g, h, rest @ ..] = header;
    let (pcr, kind) = (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
    let digest = (Bank::Sha1.algorithm(), rest.get(..OLD_DIGEST).unwrap_or_default());
    write_hashed(out, (pcr, kind), iter::once(digest), data);
}

#[cfg(test)]
mod tests {
    use cloison_measure::{
        Digests, Log, Registers,
        log::{kind, replay, write_event, write_start_of},
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

    /// An event of the older form.
    fn old(pcr: u32, kind: u32, text: &[u8]) -> Vec<u8> {
        let digests = Digests::of(text);
        let length = (text.len() as u32).to_le_bytes();
        [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), digests.get(Bank::Sha1), &length, text].concat()
    }

    fn old_length(bytes: &[u8]) -> Option<usize> {
        old_event_bytes(|at| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
    }

    /// A log of TPM 1.2 in the newer form leads to the same registers, and says the same.
    #[test]
    fn events_of_the_older_form_are_told_in_the_newer() {
        let texts = [(4, &b"loader"[..]), (9, b"kernel"), (9, b"")];
        let mut log = Vec::new();
        write_start_of(&mut log, &[Bank::Sha1]);
        let mut registers = Registers::new(Bank::Sha1);
        for (pcr, text) in texts {
            let event = old(pcr, kind::LOADER, text);
            assert_eq!(old_length(&event), Some(event.len()));
            write_old_event(&mut log, &event);
            registers.extend(pcr, Digests::of(text).get(Bank::Sha1));
        }
        let log = Log::read(&log).unwrap();
        assert!(log.has(Bank::Sha1) && !log.has(Bank::Sha256));
        assert_eq!(replay(&log, Bank::Sha1).unwrap(), registers);
        let told: Vec<_> = log.events().map(|event| event.unwrap()).collect();
        assert!(told.iter().zip(texts).all(|(event, (pcr, text))| (event.pcr, event.data) == (pcr, text)));
    }

    #[test]
    fn what_is_no_event_of_the_older_form_has_no_length() {
        let event = old(23, kind::LOADER, b"text");
        assert_eq!(old_length(&event), Some(36));
        assert_eq!(old_length(&[0; 64]), None, "nothing is there");
        assert_eq!(old_length(&[0xff; 64]), None, "nothing is there");
        assert_eq!(old_length(&old(24, kind::LOADER, b"text")), None, "of no register");
        assert_eq!(old_length(&event[..31]), None, "cut short");
        let mut long = event;
        long[30] = 2;
        assert_eq!(old_length(&long), None, "a text of 128 KiB");
        let mut written = Vec::new();
        write_old_event(&mut written, &[1; 31]);
        assert!(written.is_empty());
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
