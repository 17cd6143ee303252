//! A guest that reaches for the registers of its TPM as it likes, before a service that answers as it likes: what goes to
//! the service is as long as it states, one command at a time, and nothing is asked or taken back but what it has.

use core::task::Poll;

use linux_core::machine::{Submission, Tpm};
use linux_core::tis::Tis;

/// The longest command.
const LONGEST: usize = 4096;

/// Does what the bytes say: each step is a letter and its operands.
pub fn run(bytes: &[u8]) {
    let mut tis = Tis::new();
    let mut service = Service { has_command: false, submission: Submission::Taken, answer: Poll::Pending };
    let mut rest = bytes;
    while let [step, operand, value, after @ ..] = rest {
        rest = after;
        // The registers that there are lie close to each other; the rest is reached by the high bits.
        let offset = u64::from(*operand & 0x3f) + u64::from(*operand >> 6) * 0xf00;
        let size = 1 << (value & 3);
        match step {
            b'r' => {
                let read = tis.read(&mut service, offset, size);
                assert!(size == 8 || read >> (8 * size) == 0, "{read:#x} has more than {size} bytes");
            }
            b'w' => tis.write(&mut service, offset, 1, u64::from(*value)),
            b'W' => tis.write(&mut service, offset, size, u64::from_ne_bytes([*value; 8])),
            // A command, its header first.
            b'c' => {
                let stated = u32::from(*operand) << 8 | u32::from(*value);
                let header = [&[0x80, 1][..], &stated.to_be_bytes()].concat();
                let bytes = header.iter().chain(&[0; 16]).take(usize::from(*value % 24));
                bytes.for_each(|byte| tis.write(&mut service, 0x24, 1, u64::from(*byte)));
            }
            b's' => {
                service.submission = match value % 4 {
                    0 => Submission::Taken,
                    1 => Submission::Later,
                    2 => Submission::Malformed,
                    _ => Submission::Lost,
                };
            }
            b'a' => service.answer = Poll::Ready(Some(usize::from(*operand) << 8 | usize::from(*value))),
            b'l' => service.answer = Poll::Ready(None),
            b'p' => service.answer = Poll::Pending,
            _ => {
                tis.reset(&mut service);
                assert!(!service.has_command, "a reset leaves nothing under way");
            }
        }
    }
}

struct Service {
    has_command: bool,
    submission: Submission,
    answer: Poll<Option<usize>>,
}

impl Tpm for Service {
    fn has_tpm(&self) -> bool {
        true
    }

    fn submit(&mut self, command: &[u8]) -> Submission {
        assert!(!self.has_command, "the service has one already");
        let [_, _, a, b, c, d, ..] = *command else { panic!("no length in {} bytes", command.len()) };
        let stated = u32::from_be_bytes([a, b, c, d]) as usize;
        assert!(command.len() == stated.max(6) && stated <= LONGEST, "{} bytes of {stated}", command.len());
        self.has_command = self.submission == Submission::Taken;
        self.submission
    }

    fn finish(&mut self, response: &mut [u8]) -> Poll<Option<usize>> {
        assert!(self.has_command, "the service has no command");
        assert_eq!(response.len(), LONGEST);
        response.fill(0x5a);
        self.has_command = self.answer.is_pending();
        self.answer
    }

    fn cancel(&mut self) {
        assert!(self.has_command, "the service has no command");
        self.has_command = false;
    }
}
