//! The keyboard of the tool's user, for the time in which it belongs to the machine.

use std::{
    io::{IsTerminal, Stdin, stdin},
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, PoisonError},
};

use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};

/// Ctrl-A, as in QEMU and in the terminal programs that people know: what follows is for the tool.
const ESCAPE: u8 = 0x01;

/// How the terminal was before it was changed: for the time in which it is, and for the whole process, so that
/// it can be set back however the tool ends.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Standard input. If it is a terminal, keys arrive one by one and unchanged, and are not shown; the terminal
/// is as it was once this value goes. Ctrl-C stays what it is: a signal to the tool.
#[derive(Debug)]
pub struct Keyboard {
    input: Stdin,
    /// Whether keys may be read. They may not while a terminal belongs to another program: reading from it, or
    /// changing it, would stop this one.
    is_ours: bool,
    escaped: bool,
}

/// The user's input.
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
    /// Takes standard input.
    #[must_use]
    pub fn take() -> Self {
        let mut keyboard = Self { input: stdin(), is_ours: true, escaped: false };
        keyboard.attend();
        keyboard
    }

    /// Sees to it that the terminal hands over each key, if it is this program's just now. To be called from time to
    /// time: a shell that stops the tool and lets it go on sets the terminal to its own ways, and may have put the
    /// tool behind another program meanwhile.
    pub fn attend(&mut self) {
        if self.input.is_terminal() {
            self.is_ours = is_foreground(&self.input) && hand_over_keys(&self.input).is_ok();
        }
    }

    /// The sources to wait for while keys may be read.
    #[must_use]
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.is_ours.then(|| self.input.as_fd())
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
        restore_terminal();
    }
}

fn is_foreground(terminal: &Stdin) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn hand_over_keys(terminal: &Stdin) -> rustix::io::Result<()> {
    let now = tcgetattr(terminal)?;
    if !now.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO) {
        return Ok(());
    }
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = before.get_or_insert(now);
    tcsetattr(terminal, OptionalActions::Now, &key_by_key(before))
}

/// Sets the terminal back to what it was, if it has been changed.
pub(crate) fn restore_terminal() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let input = stdin();
    if let Some(before) = before.filter(|_| is_foreground(&input)) {
        let _ = tcsetattr(&input, OptionalActions::Now, &before);
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
        Keyboard { input: stdin(), is_ours: false, escaped: false }
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
