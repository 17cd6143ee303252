//! The protocol of the `log` gate: text, up to 32 bytes a call.
//!
//! The label is the number of bytes, 1 to [`CHUNK_BYTES`]; the words hold them, the rest is zero. The answer
//! is empty. A line ends with `\n` and may take any number of calls; the server puts the lines of one client
//! together. It is not an [`interface!`](crate::interface) because the runtime sends it without linking this
//! crate.

use cloison_sys::{Message, unpack};

use crate::wire::{MESSAGE_BYTES, Malformed};

/// Most bytes of text in one message.
pub const CHUNK_BYTES: usize = MESSAGE_BYTES;

/// The text of a message, and how long it is.
///
/// # Errors
/// [`Malformed`] if the length is out of range, or bytes behind the text are not zero.
pub fn decode(message: Message) -> Result<([u8; CHUNK_BYTES], usize), Malformed> {
    let length = usize::try_from(message.label).map_err(|_| Malformed)?;
    let bytes = unpack(message.words);
    let rest = bytes.get(length..).ok_or(Malformed)?;
    if length == 0 || rest.iter().any(|byte| *byte != 0) {
        return Err(Malformed);
    }
    Ok((bytes, length))
}

#[cfg(test)]
mod tests {
    use cloison_sys::pack;

    use super::*;

    #[test]
    fn text_comes_back() {
        for text in ["x", "hello\n", "0123456789abcdef0123456789abcde\n"] {
            let message = Message { label: text.len() as u32, words: pack(text.as_bytes()) };
            let (bytes, length) = decode(message).unwrap();
            assert_eq!(&bytes[..length], text.as_bytes());
        }
    }

    #[test]
    fn text_out_of_range_is_refused() {
        for (label, words) in [(0, [0; 4]), (33, [0; 4]), (u32::MAX, [0; 4]), (1, [0x100, 0, 0, 0])] {
            assert_eq!(decode(Message { label, words }), Err(Malformed));
        }
    }
}
