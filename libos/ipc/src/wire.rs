//! How the fields of a message lie in its four words.
//!
//! Fields follow each other without gaps, little endian, from byte 0 of the 32 on. What is left over is zero;
//! a receiver refuses anything else, so there is exactly one encoding of each value and no room for hidden
//! bits.

use cloison_abi::Name;
use cloison_sys::{pack, unpack};

/// Bytes that the words of a message hold.
pub const MESSAGE_BYTES: usize = cloison_abi::limits::MESSAGE_WORDS * 8;

/// The message is not one that the interface declares: unknown label, a field out of its range, or bits set
/// that no field owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl core::fmt::Display for Malformed {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("the message is not one that the interface declares")
    }
}

impl core::error::Error for Malformed {}

/// A type that a field of a message can have.
pub trait Field: Sized {
    /// Bytes it takes in the message, always.
    const BYTES: usize;

    /// Appends the value.
    fn put(&self, out: &mut Encoder);

    /// Takes a value off the front.
    ///
    /// # Errors
    /// [`Malformed`] if no value of this type is encoded so.
    fn take(from: &mut Decoder) -> Result<Self, Malformed>;
}

/// Whether fields of these sizes fit into one message.
#[must_use]
pub const fn fit(field_bytes: &[usize]) -> bool {
    let mut sum = 0;
    let mut index = 0;
    while index < field_bytes.len() {
        sum += field_bytes[index];
        index += 1;
    }
    sum <= MESSAGE_BYTES
}

/// Collects the fields of a message. The declaration has checked that they fit.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: [u8; MESSAGE_BYTES],
    length: usize,
}

impl Encoder {
    /// Appends bytes. Those beyond the message's end are left out; [`crate::interface!`] does not let it come
    /// to that.
    pub fn put(&mut self, bytes: &[u8]) {
        let end = (self.length + bytes.len()).min(MESSAGE_BYTES);
        let room = &mut self.bytes[self.length..end];
        room.copy_from_slice(&bytes[..room.len()]);
        self.length = end;
    }

    /// The four words of the message.
    #[must_use]
    pub fn words(&self) -> [u64; 4] {
        pack(&self.bytes)
    }
}

/// Takes the fields of a message apart.
#[derive(Debug)]
pub struct Decoder {
    bytes: [u8; MESSAGE_BYTES],
    at: usize,
}

impl Decoder {
    /// Starts at the first field.
    #[must_use]
    pub fn new(words: [u64; 4]) -> Self {
        Self { bytes: unpack(words), at: 0 }
    }

    /// Takes the next `N` bytes.
    ///
    /// # Errors
    /// [`Malformed`] if the message ends before.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.bytes.get(self.at..self.at + N).ok_or(Malformed)?;
        self.at += N;
        bytes.try_into().map_err(|_| Malformed)
    }

    /// Checks that no bit is set behind the last field.
    ///
    /// # Errors
    /// [`Malformed`] if there is one.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.bytes[self.at..].iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Malformed) }
    }
}

macro_rules! integer_fields {
    ($($integer:ty)*) => {$(
        impl Field for $integer {
            const BYTES: usize = size_of::<Self>();

            fn put(&self, out: &mut Encoder) {
                out.put(&self.to_le_bytes());
            }

            fn take(from: &mut Decoder) -> Result<Self, Malformed> {
                from.take().map(Self::from_le_bytes)
            }
        }
    )*};
}

integer_fields!(u8 u16 u32 u64 i8 i16 i32 i64);

impl Field for bool {
    const BYTES: usize = 1;

    fn put(&self, out: &mut Encoder) {
        out.put(&[u8::from(*self)]);
    }

    fn take(from: &mut Decoder) -> Result<Self, Malformed> {
        match from.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<const N: usize> Field for [u8; N] {
    const BYTES: usize = N;

    fn put(&self, out: &mut Encoder) {
        out.put(self);
    }

    fn take(from: &mut Decoder) -> Result<Self, Malformed> {
        from.take()
    }
}

/// A name. One that is not as [`Name::new`] makes it is refused.
impl Field for Name {
    const BYTES: usize = Name::BYTES;

    fn put(&self, out: &mut Encoder) {
        self.to_words().iter().for_each(|word| out.put(&word.to_le_bytes()));
    }

    fn take(from: &mut Decoder) -> Result<Self, Malformed> {
        let name = Name::from_words([u64::take(from)?, u64::take(from)?]);
        if Name::new(name.as_str()) == Some(name) { Ok(name) } else { Err(Malformed) }
    }
}

/// Up to `N` bytes, and how many they are. `N` is at most 31, because the number takes one byte of the
/// message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> Bytes<N> {
    /// Holds a copy of `bytes`; `None` if they are more than `N`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut all = [0; N];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { length: u8::try_from(bytes.len()).ok()?, bytes: all })
    }

    /// The bytes that the field holds.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length.into()]
    }
}

impl<const N: usize> core::fmt::Debug for Bytes<N> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_slice().fmt(out)
    }
}

impl<const N: usize> Field for Bytes<N> {
    const BYTES: usize = 1 + N;

    fn put(&self, out: &mut Encoder) {
        out.put(&[self.length]);
        out.put(&self.bytes);
    }

    fn take(from: &mut Decoder) -> Result<Self, Malformed> {
        let length: u8 = Field::take(from)?;
        let bytes: [u8; N] = from.take()?;
        let rest = bytes.get(length.into()..).ok_or(Malformed)?;
        if rest.iter().all(|byte| *byte == 0) { Ok(Self { length, bytes }) } else { Err(Malformed) }
    }
}
