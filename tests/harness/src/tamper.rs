//! An enemy at the wires of the TPM: what the machine is told differs from what the TPM has said.
//!
//! The host asks the same TPM by its own way, and is told the truth.

use std::{thread, time::Duration};

use image_machine::run::Change;

/// Length of a response's header, and in it: where its length is, and its code.
const HEADER: usize = 10;
const LENGTH: std::ops::Range<usize> = 2..6;
/// Of a command: its number, and the first handle.
const COMMAND: std::ops::Range<usize> = 6..10;
const HANDLE: std::ops::Range<usize> = 10..14;
/// "The TPM has failed", of a TPM 2.0.
const FAILURE: [u8; HEADER] = [0x80, 1, 0, 0, 0, HEADER as u8, 0, 0, 1, 1];
/// What a late response is late by: longer than any wait for a chip that is merely slow, shorter than every limit.
const LATE: Duration = Duration::from_millis(300);

/// What becomes of responses, and of which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tamper {
    manner: Manner,
    command: u32,
    handle: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// The TPM says that it has failed, though it has done what it was told.
    Failed,
    /// It ends behind the header.
    Cut,
    /// The last bit of it is another.
    Forged,
    /// All behind the header is ones: lengths and counts that cannot be.
    Ones,
    /// It is what was answered to the last such command.
    Replayed,
    /// It is right, and late.
    Late,
}

impl Tamper {
    /// Reads what a scenario says of it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let manner = match words.next()? {
            "failed" => Manner::Failed,
            "cut" => Manner::Cut,
            "forged" => Manner::Forged,
            "ones" => Manner::Ones,
            "replayed" => Manner::Replayed,
            "late" => Manner::Late,
            _ => return None,
        };
        let mut number = || words.next().map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let command = number()??;
        let handle = match number() {
            Some(handle) => Some(handle?),
            None => None,
        };
        Some(Self { manner, command, handle })
    }

    /// What a relay has to do.
    pub(crate) fn change(tamper: Option<Self>) -> Change {
        let Some(tamper) = tamper else { return Box::new(|_, response| response) };
        let mut last = None;
        Box::new(
            move |command, response| {
                if tamper.concerns(command) { tamper.manner.change(response, &mut last) } else { response }
            },
        )
    }

    fn concerns(self, command: &[u8]) -> bool {
        word(command, COMMAND) == Some(self.command)
            && self.handle.is_none_or(|handle| word(command, HANDLE) == Some(handle))
    }
}

impl Manner {
    fn change(self, mut response: Vec<u8>, last: &mut Option<Vec<u8>>) -> Vec<u8> {
        match self {
            Self::Failed => FAILURE.to_vec(),
            Self::Cut => {
                response.truncate(HEADER);
                with_length(response, HEADER)
            }
            Self::Forged => {
                if let Some(byte) = response.last_mut() {
                    *byte ^= 1;
                }
                response
            }
            Self::Ones => {
                response.iter_mut().skip(HEADER).for_each(|byte| *byte = 0xff);
                response
            }
            Self::Replayed => last.replace(response.clone()).unwrap_or(response),
            Self::Late => {
                thread::sleep(LATE);
                response
            }
        }
    }
}

/// A response that says that it is so long.
fn with_length(mut response: Vec<u8>, bytes: usize) -> Vec<u8> {
    if let Some(length) = response.get_mut(LENGTH) {
        length.copy_from_slice(&(bytes as u32).to_be_bytes());
    }
    response
}

fn word(message: &[u8], place: std::ops::Range<usize>) -> Option<u32> {
    Some(u32::from_be_bytes(*message.get(place)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(code: u8, rest: &[u8]) -> Vec<u8> {
        let header = [0x80, 1, 0, 0, 0, (HEADER + rest.len()) as u8, 0, 0, 1, code];
        [&header[..], rest].concat()
    }

    /// What becomes of two responses to commands with this number.
    fn changed(text: &str) -> [Vec<u8>; 2] {
        let mut change = Tamper::change(Tamper::parse(text));
        [3, 4].map(|byte| change(&message(0x7e, &[0, 0, 0, 9]), message(0, &[1, 2, byte])))
    }

    #[test]
    fn responses_are_changed_as_the_scenario_says() {
        assert_eq!(changed("failed 0x17e"), [FAILURE.to_vec(), FAILURE.to_vec()]);
        assert_eq!(changed("cut 0x17e")[0], message(0, &[]));
        assert_eq!(changed("forged 0x17e")[0], message(0, &[1, 2, 2]));
        assert_eq!(changed("ones 0x17e")[0], message(0, &[0xff; 3]));
        assert_eq!(changed("replayed 0x17e"), [message(0, &[1, 2, 3]), message(0, &[1, 2, 3])]);
        assert_eq!(changed("late 0x17e")[1], message(0, &[1, 2, 4]));
    }

    #[test]
    fn other_commands_are_answered_as_the_tpm_answers() {
        for text in ["forged 0x17f", "forged 0x17e 0x8"] {
            assert_eq!(changed(text)[0], message(0, &[1, 2, 3]), "{text}");
        }
        assert_eq!(changed("forged 0x17e 0x9")[0], message(0, &[1, 2, 2]));
        for text in ["", "forged", "forged x", "forged 12", "spoiled 0x1", "forged 0x1 x"] {
            assert_eq!(Tamper::parse(text), None, "{text}");
        }
    }
}
