//! The control connection: states, and objects of JSON after their length.

use alloc::{vec, vec::Vec};

use embedded_io_async::{Read, ReadExactError, Write};
use serde::Serialize;

use crate::{Cookie, Error, State};

/// Most bytes of an object that is taken. iperf3's are a few hundred for each stream.
const MAX_OBJECT_BYTES: usize = 16 << 10;

/// A control connection.
pub(crate) struct Control<S>(pub(crate) S);

impl<S: Read + Write> Control<S> {
    pub(crate) async fn send_state(&mut self, state: State) -> Result<(), Error> {
        write(&mut self.0, &[state.byte()]).await
    }

    /// Waits for a state. Dropped before it is ready, it loses none.
    pub(crate) async fn receive_state(&mut self) -> Result<State, Error> {
        let mut byte = [0];
        match self.0.read(&mut byte).await.map_err(Error::network)? {
            0 => Err(Error::Ended),
            _ => State::try_from(byte[0]),
        }
    }

    /// Waits for this state and no other one.
    pub(crate) async fn expect(&mut self, state: State) -> Result<(), Error> {
        match self.receive_state().await? {
            received if received == state => Ok(()),
            State::AccessDenied => Err(Error::Busy),
            State::ServerError => Err(Error::GivenUp(self.receive_error().await?)),
            State::ServerTerminate | State::ClientTerminate => Err(Error::GivenUp(0)),
            _ => Err(Error::Garbage("it sent another state than is due")),
        }
    }

    /// Gives the test up for a reason that iperf3 has a number for.
    pub(crate) async fn refuse(&mut self, number: i32) -> Result<(), Error> {
        let mut message = vec![State::ServerError.byte()];
        message.extend(number.to_be_bytes());
        message.extend(0_i32.to_be_bytes());
        write(&mut self.0, &message).await
    }

    pub(crate) async fn send<T: Serialize>(&mut self, object: &T) -> Result<(), Error> {
        let text = serde_json::to_vec(object).map_err(Error::network)?;
        let length = u32::try_from(text.len()).map_err(Error::network)?;
        let message: Vec<u8> = length.to_be_bytes().into_iter().chain(text).collect();
        write(&mut self.0, &message).await
    }

    /// Waits for an object, and has `read_object` make something of it.
    pub(crate) async fn receive<T>(
        &mut self,
        read_object: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut length = [0; 4];
        read(&mut self.0, &mut length).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_OBJECT_BYTES {
            return Err(Error::Garbage("it announces more text than it could have to say"));
        }
        let mut text = vec![0; length];
        read(&mut self.0, &mut text).await?;
        read_object(&text)
    }

    /// The same; what makes no sense is answered with iperf3's number for that.
    pub(crate) async fn receive_or_refuse<T>(
        &mut self,
        read_object: impl FnOnce(&[u8]) -> Result<T, Error>,
        number: i32,
    ) -> Result<T, Error> {
        let received = self.receive(read_object).await;
        if let Err(Error::Garbage(_)) = received {
            self.refuse(number).await?;
        }
        received
    }

    async fn receive_error(&mut self) -> Result<i32, Error> {
        let mut numbers = [0; 8];
        read(&mut self.0, &mut numbers).await?;
        let [a, b, c, d, ..] = numbers;
        Ok(i32::from_be_bytes([a, b, c, d]))
    }
}

/// Reads the cookie with which every connection begins.
pub(crate) async fn read_cookie(stream: &mut impl Read) -> Result<Cookie, Error> {
    let mut bytes = [0; Cookie::BYTES];
    read(stream, &mut bytes).await?;
    Cookie::parse(bytes)
}

async fn read(stream: &mut impl Read, to: &mut [u8]) -> Result<(), Error> {
    stream.read_exact(to).await.map_err(|error| match error {
        ReadExactError::UnexpectedEof => Error::Ended,
        ReadExactError::Other(error) => Error::network(error),
    })
}

pub(crate) async fn write(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    stream.write_all(bytes).await.map_err(Error::network)
}
