//! Commands that come as bytes, from a terminal that somebody else has, and answers that go back there.

use alloc::{string::String, vec::Vec};
use core::fmt;

use cloison_ipc::Transport;

use crate::{Around, Status, carry_out, manage::Client};

/// The longest line that is read, in bytes.
const LINE_BYTES: usize = 120;
/// Seconds for which a line waits at most. The domain that has the terminal stands still meanwhile, with all that it does for its guest:
/// a program in a guest could hold it up for 18 hours.
const LONGEST_WAIT: u16 = 10;
/// The word with which a line begins that is answered.
const WORD: &str = "bmic";
/// Ends an answer: a terminal tells its reader by it that there is no more.
const END: u8 = 4; // EOT

/// What has come, and what is to go.
#[derive(Debug, Default)]
pub struct Desk {
    line: Vec<u8>,
    answer: Vec<u8>,
}

/// What an answer needs.
struct Paper<'a> {
    answer: &'a mut Vec<u8>,
    rest: fn(u32),
}

impl Around for Paper<'_> {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        let mut line = String::new();
        // A string takes all that is written.
        let _ = fmt::write(&mut line, text);
        self.answer.extend(line.bytes().chain(*b"\n"));
    }

    fn rest(&mut self, milliseconds: u32) {
        (self.rest)(milliseconds);
    }

    fn longest_wait(&self) -> u16 {
        LONGEST_WAIT
    }
}

impl Desk {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { line: Vec::new(), answer: Vec::new() }
    }

    /// Hears bytes, and carries out each line that is whole. `rest` lets some milliseconds pass.
    pub fn hear<T: Transport>(&mut self, bytes: &[u8], bmi: &Client<T>, rest: fn(u32)) {
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => self.obey(bmi, rest),
                // One byte more than a line can have says that it is too long.
                _ if self.line.len() <= LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// What is to go back.
    #[must_use]
    pub fn says(&self) -> &[u8] {
        &self.answer
    }

    /// So many bytes of that have gone.
    pub fn said(&mut self, bytes: usize) {
        self.answer.drain(..bytes.min(self.answer.len()));
    }

    /// A line that does not begin with the command's name is not answered: a terminal that shows what comes, as each does at
    /// first, sends it back, and would talk to this desk for ever.
    fn obey<T: Transport>(&mut self, bmi: &Client<T>, rest: fn(u32)) {
        let line = core::mem::take(&mut self.line);
        let text = core::str::from_utf8(&line).unwrap_or_default().trim();
        let command = text.strip_prefix(WORD).filter(|line| line.is_empty() || line.starts_with(' '));
        let Some(command) = command else { return };
        let mut paper = Paper { answer: &mut self.answer, rest };
        let status = if line.len() > LINE_BYTES {
            paper.line(format_args!("{WORD}: a line has at most {LINE_BYTES} bytes"));
            Status::Usage
        } else {
            carry_out(command, bmi, &mut paper)
        };
        if status != Status::Done {
            paper.line(format_args!("{WORD}: exit status {}", status as u32));
        }
        self.answer.push(END);
    }
}
