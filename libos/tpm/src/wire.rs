//! Big-endian fields, written and read with every bound checked.

use crate::{Error, ReturnCode, numbers::HEADER_BYTES};

/// Writes a command. What does not fit is remembered and reported once, by [`Writer::finish`].
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    /// Bytes written so far; more than the buffer's length if they did not fit.
    length: usize,
}

impl<'b> Writer<'b> {
    /// Starts a command with its header; the length in it is filled in at the end.
    pub(crate) fn command(buffer: &'b mut [u8], tag: u16, code: u32) -> Self {
        Self { buffer, length: 0 }.u16(tag).u32(0).u32(code)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        let end = self.length.saturating_add(bytes.len());
        if let Some(part) = self.buffer.get_mut(self.length..end) {
            part.copy_from_slice(bytes);
        }
        self.length = end;
        self
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// What has been written so far; nothing if it does not fit.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Fills in the length and returns the whole command.
    pub(crate) fn finish(self) -> Result<&'b [u8], Error> {
        let given = self.buffer.len();
        let command = self.buffer.get_mut(..self.length).ok_or(Error::BufferTooSmall { given })?;
        let stated = u32::try_from(self.length).map_err(|_| Error::BufferTooSmall { given })?;
        command.get_mut(2..6).ok_or(Error::BufferTooSmall { given })?.copy_from_slice(&stated.to_be_bytes());
        Ok(command)
    }
}

/// Reads a response from front to back.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Reads a response's header: the tag must be one of `tags`, the length the number of bytes, the code
    /// success.
    pub(crate) fn response(bytes: &'a [u8], tags: &[u16]) -> Result<Self, Error> {
        let mut reader = Self::new(bytes);
        let (tag, stated, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if usize::try_from(stated) != Ok(bytes.len()) {
            return Err(Error::WrongLength { stated, given: bytes.len() });
        }
        // A TPM of the other version, and one that failed for good, refuse with a tag of their own. The code
        // says more than the tag does, so it comes first.
        if code != 0 && bytes.len() == HEADER_BYTES {
            return Err(Error::Refused(ReturnCode(code)));
        }
        if code != 0 || !tags.contains(&tag) {
            return Err(Error::WrongTag { tag });
        }
        Ok(reader)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let truncated = Error::Truncated { needed: count, left: self.left.len() };
        let (bytes, left) = self.left.split_at_checked(count).ok_or(truncated)?;
        self.left = left;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let truncated = Error::Truncated { needed: N, left: self.left.len() };
        let (bytes, left) = self.left.split_first_chunk::<N>().ok_or(truncated)?;
        self.left = left;
        Ok(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes with a 16-bit length in front (a `TPM2B` of the specification).
    pub(crate) fn sized16(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u16()?;
        self.bytes(usize::from(count))
    }

    /// Bytes with a 32-bit length in front.
    pub(crate) fn sized32(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u32()?;
        self.bytes(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.left
    }

    /// Checks that nothing is left.
    pub(crate) fn end(self) -> Result<(), Error> {
        let value = self.left.len() as u32;
        if value == 0 {
            Ok(())
        } else {
            Err(Error::Unexpected { field: "number of bytes behind the end", value })
        }
    }

    /// The bytes read since `before`, a copy of this reader made earlier.
    pub(crate) fn since(&self, before: Self) -> &'a [u8] {
        let count = before.left.len().saturating_sub(self.left.len());
        before.left.get(..count).unwrap_or_default()
    }

    /// Reads a field that can have one value only.
    pub(crate) fn expect_u16(&mut self, field: &'static str, value: u16) -> Result<(), Error> {
        match self.u16()? {
            found if found == value => Ok(()),
            found => Err(Error::Unexpected { field, value: u32::from(found) }),
        }
    }

    /// Reads a field that can have one value only.
    pub(crate) fn expect_u32(&mut self, field: &'static str, value: u32) -> Result<(), Error> {
        match self.u32()? {
            found if found == value => Ok(()),
            found => Err(Error::Unexpected { field, value: found }),
        }
    }
}
