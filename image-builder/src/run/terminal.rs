//! The keyboard of whoever started the tool, for the time in which it belongs to the machine.

use std::{
    io::{IsTerminal, Stdin, stdin},
    os::fd::{AsFd, BorrowedFd},
};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

/// Ctrl-A, as in QEMU and in the terminal programs that people know: what follows is for the tool.
const ESCAPE: u8 = 0x01;

/// Standard input. If it is a terminal, keys arrive one by one and unchanged, and are not shown; the terminal
/// is as it was once this value goes. Ctrl-C stays what it is: a signal to the tool.
#[derive(Debug)]
pub struct Keyboard {
    input: Stdin,
    before: Option<Termios>,
    escaped: bool,
}

/// What the user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// For the machine.
    Bytes(Vec<u8>),
    /// Ctrl-A x: end the run.
    Leave,
    /// There will be no more.
    Closed,
}

impl Keyboard {
    /// Takes standard input. `None` if it is a terminal that belongs to another program just now: reading
    /// from it would stop this one.
    #[must_use]
    pub fn take() -> Option<Self> {
        let input = stdin();
        if !input.is_terminal() {
            return Some(Self { input, before: None, escaped: false });
        }
        if tcgetpgrp(&input).ok()? != rustix::process::getpgrp() {
            return None;
        }
        let before = tcgetattr(&input).ok()?;
        tcsetattr(&input, OptionalActions::Now, &key_by_key(&before)).ok()?;
        Some(Self { input, before: Some(before), escaped: false })
    }

    /// Reads what has been typed. Waits only if there is nothing.
    pub fn read(&mut self) -> Key {
        let mut buffer = [0; 256];
        match rustix::io::read(&self.input, &mut buffer) {
            Ok(0) | Err(_) => Key::Closed,
            Ok(count) => self.sort(&buffer[..count]),
        }
    }

    fn sort(&mut self, typed: &[u8]) -> Key {
        let mut bytes = Vec::new();
        for byte in typed {
            match (std::mem::take(&mut self.escaped), *byte) {
                (true, b'x' | b'X') => return Key::Leave,
                (false, ESCAPE) => self.escaped = true,
                (_, other) => bytes.push(other),
            }
        }
        Key::Bytes(bytes)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(&self.input, OptionalActions::Now, before);
        }
    }
}

impl AsFd for Keyboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

/// The same terminal, handing over each key at once. Output stays as it is, so that a line feed alone starts
/// a new line; so do the keys that send signals, but for the one that suspends: the machine would not know.
fn key_by_key(before: &Termios) -> Termios {
    let mut after = before.clone();
    after.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
    after.input_modes.remove(InputModes::ICRNL | InputModes::IXON);
    after.special_codes[SpecialCodeIndex::VSUSP] = 0;
    after.special_codes[SpecialCodeIndex::VMIN] = 1;
    after.special_codes[SpecialCodeIndex::VTIME] = 0;
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> Keyboard {
        Keyboard { input: stdin(), before: None, escaped: false }
    }

    #[test]
    fn ctrl_a_x_leaves_even_if_it_comes_in_two_pieces() {
        let mut keyboard = keyboard();
        assert_eq!(keyboard.sort(b"ab\x01"), Key::Bytes(b"ab".to_vec()));
        assert_eq!(keyboard.sort(b"x"), Key::Leave);
    }

    #[test]
    fn ctrl_a_twice_is_ctrl_a() {
        assert_eq!(keyboard().sort(b"\x01\x01x"), Key::Bytes(b"\x01x".to_vec()));
    }
}
