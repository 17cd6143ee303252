//! Lines out of a stream of bytes.

use embedded_io_async::Read;

/// Longest line, in bytes.
pub const LINE_BYTES: usize = 200;

/// Reads lines from a stream.
pub struct Lines<R> {
    stream: R,
    received: [u8; 256],
    /// What of `received` has not been looked at yet.
    unread: (usize, usize),
    line: [u8; LINE_BYTES],
}

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Text of visible ASCII, blanks and tabs.
    Text(&'a str),
    /// Longer than [`LINE_BYTES`].
    TooLong,
    /// It has other bytes.
    NotText,
}

impl<R: Read> Lines<R> {
    /// Reads from a stream.
    pub fn new(stream: R) -> Self {
        Self { stream, received: [0; 256], unread: (0, 0), line: [0; LINE_BYTES] }
    }

    /// The next line, without its end (LF, CR, or both). `None` at the end of the stream; a last line without
    /// an end is one.
    ///
    /// # Errors
    /// The stream's.
    pub async fn next(&mut self) -> Result<Option<Line<'_>>, R::Error> {
        let mut length = 0;
        loop {
            let Some(byte) = self.byte().await? else {
                return Ok((length > 0).then(|| self.line(length)));
            };
            if byte == b'\n' || byte == b'\r' {
                // The second half of CR LF is an empty line, which nobody answers.
                return Ok(Some(self.line(length)));
            }
            if let Some(place) = self.line.get_mut(length) {
                *place = byte;
            }
            length += 1;
        }
    }

    fn line(&self, length: usize) -> Line<'_> {
        let Some(bytes) = self.line.get(..length) else { return Line::TooLong };
        let is_text = bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        match core::str::from_utf8(bytes) {
            Ok(text) if is_text => Line::Text(text),
            _ => Line::NotText,
        }
    }

    async fn byte(&mut self) -> Result<Option<u8>, R::Error> {
        if self.unread.0 == self.unread.1 {
            self.unread = (0, self.stream.read(&mut self.received).await?);
            if self.unread.1 == 0 {
                return Ok(None);
            }
        }
        self.unread.0 += 1;
        Ok(Some(self.received[self.unread.0 - 1]))
    }
}
