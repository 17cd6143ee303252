//! LZ4 in the frame that kernels are packed with (`lz4 -l`): blocks of at most 8 MiB, each for itself, after their
//! length. A match reaches back 64 KiB at most; so a window a little larger is all the room that unpacking takes,
//! where decoders of whole blocks want 8 MiB. That is why the decoder is not taken from a crate.

use super::BootError;

/// First bytes of a frame.
pub const MAGIC: &[u8] = &[0x02, 0x21, 0x4c, 0x18];
/// Bytes of a block at most, when unpacked.
pub const BLOCK_BYTES: usize = 8 << 20;
/// How far back a match can reach.
pub const REACH: usize = 0xffff;
/// Bytes of the window: what is beyond [`REACH`] is filled before it is handed on, so each byte is moved a third of a
/// time.
pub const WINDOW_BYTES: usize = 256 << 10;

/// Unpacks a frame: each piece goes to `sink`, in order, all of them together `bytes` long.
///
/// # Errors
/// [`BootError::Damaged`], or what the sink returns.
pub fn unpack(
    frame: &[u8],
    bytes: usize,
    window: &mut [u8; WINDOW_BYTES],
    sink: impl FnMut(&[u8]) -> Result<(), BootError>,
) -> Result<(), BootError> {
    let mut window = Window { buffer: window, first: 0, unsent: 0, end: 0, room: 0, sink };
    let mut input = frame.strip_prefix(MAGIC).ok_or(BootError::Damaged)?;
    let mut left = bytes;
    while !input.is_empty() {
        let length = take(&mut input)?;
        if length == *MAGIC {
            continue; // Frames may follow each other.
        }
        let block = input.split_off(..u32::from_le_bytes(length) as usize).ok_or(BootError::Damaged)?;
        window.room = left.min(BLOCK_BYTES);
        let before = window.room;
        window.block(block)?;
        left -= before - window.room;
    }
    window.send()?;
    if left == 0 { Ok(()) } else { Err(BootError::Damaged) }
}

/// The last bytes that were unpacked, and how far they have been handed on.
struct Window<'a, S> {
    buffer: &'a mut [u8; WINDOW_BYTES],
    /// First byte of this block that is still here.
    first: usize,
    /// First byte that the sink has not got.
    unsent: usize,
    end: usize,
    /// Bytes that the block may still have.
    room: usize,
    sink: S,
}

impl<S: FnMut(&[u8]) -> Result<(), BootError>> Window<'_, S> {
    /// Unpacks a block: sequences of literal bytes and a match, the last one without a match.
    fn block(&mut self, mut input: &[u8]) -> Result<(), BootError> {
        self.first = self.end;
        loop {
            let [token] = take(&mut input)?;
            let literals = length(token >> 4, &mut input)?;
            let literals = input.split_off(..literals).ok_or(BootError::Damaged)?;
            self.append(literals)?;
            if input.is_empty() {
                return Ok(());
            }
            let distance = u16::from_le_bytes(take(&mut input)?);
            let length = length(token & 0xf, &mut input)? + 4;
            self.repeat(distance.into(), length)?;
        }
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<(), BootError> {
        self.spend(bytes.len())?;
        while !bytes.is_empty() {
            let free = self.free()?;
            let piece = bytes.split_off(..free.min(bytes.len())).expect("no longer than the bytes");
            self.buffer[self.end..self.end + piece.len()].copy_from_slice(piece);
            self.end += piece.len();
        }
        Ok(())
    }

    fn repeat(&mut self, distance: usize, mut length: usize) -> Result<(), BootError> {
        self.spend(length)?;
        while length > 0 {
            let free = self.free()?;
            if distance == 0 || distance > self.end - self.first {
                return Err(BootError::Damaged);
            }
            // A match may overlap what it makes, and so repeats a pattern; each round can copy twice as much.
            let from = self.end - distance;
            let stop = self.end + free.min(length);
            length -= stop - self.end;
            while self.end < stop {
                let piece = (self.end - from).min(stop - self.end);
                self.buffer.copy_within(from..from + piece, self.end);
                self.end += piece;
            }
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), BootError> {
        self.room = self.room.checked_sub(bytes).ok_or(BootError::Damaged)?;
        Ok(())
    }

    /// How many bytes can be put in at once; if none can, first hands on what there is and keeps what matches reach.
    fn free(&mut self) -> Result<usize, BootError> {
        if self.end == WINDOW_BYTES {
            self.send()?;
            self.buffer.copy_within(WINDOW_BYTES - REACH.., 0);
            self.first = self.first.saturating_sub(WINDOW_BYTES - REACH);
            self.unsent = REACH;
            self.end = REACH;
        }
        Ok(WINDOW_BYTES - self.end)
    }

    fn send(&mut self) -> Result<(), BootError> {
        let unsent = &self.buffer[self.unsent..self.end];
        self.unsent = self.end;
        if unsent.is_empty() { Ok(()) } else { (self.sink)(unsent) }
    }
}

/// A length: four bits of the token, then bytes as long as they are 255.
fn length(nibble: u8, input: &mut &[u8]) -> Result<usize, BootError> {
    let mut length = usize::from(nibble);
    if nibble == 0xf {
        loop {
            let [more] = take(input)?;
            length += usize::from(more);
            if more != 0xff {
                break;
            }
        }
    }
    Ok(length)
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], BootError> {
    let (bytes, rest) = input.split_first_chunk().ok_or(BootError::Damaged)?;
    *input = rest;
    Ok(*bytes)
}
