//! A ring of bytes as a stream, with the traits that the rest of the embedded world uses.

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use super::{Bell, Consumer, Producer, RingError, RingMemory};

impl embedded_io::Error for RingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt => ErrorKind::InvalidData,
            Self::PeerFailed => ErrorKind::BrokenPipe,
            Self::TooLong(_) => ErrorKind::OutOfMemory,
        }
    }
}

impl<M, B> ErrorType for Producer<M, B> {
    type Error = RingError;
}

impl<M: RingMemory, B: Bell> Write for Producer<M, B> {
    /// Waits until at least one byte can be written.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, RingError> {
        if !bytes.is_empty() {
            self.wait_for_room()?;
        }
        self.try_write(bytes)
    }

    /// Written bytes are visible at once; waiting until they are read would make a slow reader everybody's
    /// problem.
    fn flush(&mut self) -> Result<(), RingError> {
        Ok(())
    }
}

impl<M: RingMemory, B: Bell> WriteReady for Producer<M, B> {
    fn write_ready(&mut self) -> Result<bool, RingError> {
        self.room().map(|room| room > 0)
    }
}

impl<M, B> ErrorType for Consumer<M, B> {
    type Error = RingError;
}

impl<M: RingMemory, B: Bell> Read for Consumer<M, B> {
    /// Waits until at least one byte can be read.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, RingError> {
        if !to.is_empty() {
            self.wait_for_bytes()?;
        }
        self.try_read(to)
    }
}

impl<M: RingMemory, B: Bell> ReadReady for Consumer<M, B> {
    fn read_ready(&mut self) -> Result<bool, RingError> {
        self.available().map(|available| available > 0)
    }
}
