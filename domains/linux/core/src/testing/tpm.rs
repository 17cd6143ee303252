//! A TPM that does what a test says.

use core::task::Poll;
use std::collections::VecDeque;
use std::vec::Vec;

use crate::machine::{Submission, Tpm};

/// The TPM. Without anything said it answers each command at once, with the command itself.
#[derive(Default)]
pub struct FakeTpm {
    /// What becomes of the next submissions; those after them are taken.
    pub submissions: VecDeque<Submission>,
    /// How often it is asked for a response before there is one.
    pub delay: usize,
    /// The response, if it is not the command.
    pub response: Option<Vec<u8>>,
    /// There will be no response.
    pub loses: bool,
    /// The length of the response, if it is said wrongly.
    pub stated: Option<usize>,
    /// What was handed over.
    pub commands: Vec<Vec<u8>>,
    /// How often a command was taken back.
    pub cancels: usize,
}

impl Tpm for FakeTpm {
    fn has_tpm(&self) -> bool {
        true
    }

    fn submit(&mut self, command: &[u8]) -> Submission {
        self.commands.push(command.to_vec());
        self.submissions.pop_front().unwrap_or(Submission::Taken)
    }

    fn finish(&mut self, response: &mut [u8]) -> Poll<Option<usize>> {
        if self.delay > 0 {
            self.delay -= 1;
            return Poll::Pending;
        }
        let command = self.commands.last().expect("something was handed over");
        let answer = self.response.as_ref().unwrap_or(command);
        response[..answer.len()].copy_from_slice(answer);
        let length = self.stated.unwrap_or(answer.len());
        Poll::Ready(Some(length).filter(|_| !self.loses))
    }

    fn cancel(&mut self) {
        self.cancels += 1;
    }
}
