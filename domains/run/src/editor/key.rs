//! From bytes to keys: control bytes, and the sequences of a terminal's cursor keys (ECMA-48, section 5.4).

/// A key, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text(u8),
    Enter,
    GiveUp,
    /// Ends the input, or deletes as `Delete` does if there is a line.
    Close,
    Complete,
    Older,
    Newer,
    Left,
    Right,
    Home,
    End,
    Backspace,
    Delete,
    CutRest,
    CutLine,
    CutWord,
    /// Does nothing.
    Unknown,
}

/// How far a sequence has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Keys {
    #[default]
    Plain,
    Escape,
    /// With its last number so far; 0 without one.
    Sequence(u8),
    /// `ESC O` begins the cursor keys of some terminals.
    Single,
}

const CTRL: u8 = 0x1f;

impl Keys {
    /// Takes a byte. `None` in the middle of a sequence.
    pub(super) fn press(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(self) {
            Self::Plain => self.plain(byte),
            Self::Escape => self.escaped(byte),
            Self::Single => Some(cursor_key(byte)),
            Self::Sequence(number) => self.sequence(byte, number),
        }
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        let control = |letter: u8| letter & CTRL;
        Some(match byte {
            b' '..=b'~' => Key::Text(byte),
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Complete,
            0x08 | 0x7f => Key::Backspace,
            0x1b => {
                *self = Self::Escape;
                return None;
            }
            _ if byte == control(b'A') => Key::Home,
            _ if byte == control(b'B') => Key::Left,
            _ if byte == control(b'C') => Key::GiveUp,
            _ if byte == control(b'D') => Key::Close,
            _ if byte == control(b'E') => Key::End,
            _ if byte == control(b'F') => Key::Right,
            _ if byte == control(b'K') => Key::CutRest,
            _ if byte == control(b'N') => Key::Newer,
            _ if byte == control(b'P') => Key::Older,
            _ if byte == control(b'U') => Key::CutLine,
            _ if byte == control(b'W') => Key::CutWord,
            _ => Key::Unknown,
        })
    }

    fn escaped(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' => *self = Self::Sequence(0),
            b'O' => *self = Self::Single,
            // Escape alone does nothing; what comes behind it is typed.
            _ => return self.plain(byte),
        }
        None
    }

    fn sequence(&mut self, byte: u8, number: u8) -> Option<Key> {
        match byte {
            b'0'..=b'9' => *self = Self::Sequence(number.saturating_mul(10).saturating_add(byte - b'0')),
            // More numbers, such as those of Ctrl and an arrow: the arrow counts.
            0x20..=0x3f => *self = Self::Sequence(0),
            b'~' => return Some(numbered_key(number)),
            0x40..=0x7e => return Some(cursor_key(byte)),
            // No byte of a sequence: the line is not lost by it.
            _ => return self.plain(byte),
        }
        None
    }
}

fn cursor_key(byte: u8) -> Key {
    match byte {
        b'A' => Key::Older,
        b'B' => Key::Newer,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => Key::Unknown,
    }
}

fn numbered_key(number: u8) -> Key {
    match number {
        1 | 7 => Key::Home,
        4 | 8 => Key::End,
        3 => Key::Delete,
        _ => Key::Unknown,
    }
}
