//! The data of a test over UDP: numbered datagrams, at a rate, of which some may get lost.
//!
//! A stream is no more than the address that it comes from. It begins with a datagram that says hello, and one
//! that answers.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{
    cell::Cell,
    future::pending,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use crate::{
    Clock, Datagrams, Direction, Error,
    transfer::{Moved, Movement, Mover, Pace, Transfer},
};

/// What begins a stream, as iperf3 says it now and as it did before (an `int` in the byte order of its machine).
const HELLO: [[u8; 4]; 2] = [0x3637_3839_u32.to_le_bytes(), 123_456_789_u32.to_le_bytes()];
/// What answers it.
const ANSWER: [u8; 4] = 0x3938_3736_u32.to_le_bytes();
/// Longest datagram that is taken.
const MAX_BYTES: usize = 32 << 10;
/// Seconds, microseconds and number in front of the data; the number may have 4 bytes or 8.
const NARROW_HEADER_BYTES: usize = 12;
const WIDE_HEADER_BYTES: usize = 16;

/// The streams of a test.
pub(crate) struct DatagramStreams<D> {
    socket: D,
    has_wide_numbers: bool,
    streams: Vec<(SocketAddrV4, Movement)>,
}

impl<D: Datagrams> DatagramStreams<D> {
    /// Waits until there is a stream for each direction. Only those from `host` count, if it is known.
    pub(crate) async fn gather(
        socket: D,
        host: Option<Ipv4Addr>,
        directions: &[Direction],
        has_wide_numbers: bool,
    ) -> Result<Self, Error> {
        let mut streams: Vec<(SocketAddrV4, Movement)> = Vec::new();
        let mut bytes = [0; 64];
        while let Some(direction) = directions.get(streams.len()) {
            let (count, from) = socket.receive(&mut bytes).await?;
            if !is_hello(&bytes[..count]) || host.is_some_and(|host| host != *from.ip()) {
                continue;
            }
            socket.send(&ANSWER, from).await?;
            if !streams.iter().any(|(known, _)| *known == from) {
                streams.push((from, Movement::new(*direction)));
            }
        }
        Ok(Self { socket, has_wide_numbers, streams })
    }

    /// Moves data until `end` is ready.
    pub(crate) async fn run<C: Clock>(
        &self,
        transfer: &Transfer<'_, C>,
        end: impl Future<Output = Result<(), Error>>,
    ) -> Result<Moved, Error> {
        let movements: Vec<&Movement> = self.streams.iter().map(|(_, movement)| movement).collect();
        let mut movers: Vec<Mover<'_>> = vec![Box::pin(self.receive(transfer.clock))];
        for (to, movement) in &self.streams {
            if movement.direction == Direction::Sent {
                movers.push(Box::pin(self.send(transfer, *to, movement)));
            }
        }
        transfer.watch(&movements, movers, end).await
    }

    async fn receive<C: Clock>(&self, clock: &C) -> Result<(), Error> {
        let mut bytes = vec![0; MAX_BYTES];
        loop {
            let (count, from) = self.socket.receive(&mut bytes).await?;
            let datagram = &bytes[..count];
            let Some((_, movement)) = self.streams.iter().find(|(known, _)| *known == from) else { continue };
            if is_hello(datagram) {
                // The answer was lost.
                self.socket.send(&ANSWER, from).await?;
            } else if movement.direction == Direction::Received
                && let Some((sent, number)) = header(datagram, self.has_wide_numbers)
            {
                movement.add(count as u64);
                let mut arrivals = movement.arrivals.get();
                arrivals.take(number, clock.now().as_secs_f64() - sent);
                movement.arrivals.set(arrivals);
            }
        }
    }

    async fn send<C: Clock>(
        &self,
        transfer: &Transfer<'_, C>,
        to: SocketAddrV4,
        movement: &Movement,
    ) -> Result<(), Error> {
        let header_bytes = if self.has_wide_numbers { WIDE_HEADER_BYTES } else { NARROW_HEADER_BYTES };
        let mut block = vec![0; transfer.block_bytes.clamp(header_bytes, MAX_BYTES)];
        let pace = Pace::new(transfer.clock, transfer.bits_per_second);
        let sent = Cell::new(0);
        for number in 1_u64.. {
            let now = transfer.clock.now();
            block[..4].copy_from_slice(&(now.as_secs() as u32).to_be_bytes());
            block[4..8].copy_from_slice(&now.subsec_micros().to_be_bytes());
            if self.has_wide_numbers {
                block[8..16].copy_from_slice(&number.to_be_bytes());
            } else {
                block[8..12].copy_from_slice(&(number as u32).to_be_bytes());
            }
            self.socket.send(&block, to).await?;
            movement.add(block.len() as u64);
            let mut arrivals = movement.arrivals.get();
            arrivals.numbered = number;
            movement.arrivals.set(arrivals);
            sent.set(sent.get() + block.len() as u64);
            pace.wait(sent.get()).await;
        }
        pending().await
    }
}

fn is_hello(datagram: &[u8]) -> bool {
    HELLO.iter().any(|hello| hello == datagram)
}

/// When a datagram was sent, in seconds, and its number.
fn header(datagram: &[u8], is_wide: bool) -> Option<(f64, u64)> {
    let word = |at: usize| datagram.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
    let sent = Duration::from_secs(word(0)?.into()) + Duration::from_micros(word(4)?.into());
    let number = match is_wide {
        true => u64::from(word(8)?) << 32 | u64::from(word(12)?),
        false => word(8)?.into(),
    };
    // A number that high cannot have been reached: it would make the count of losses senseless.
    Some((sent.as_secs_f64(), number)).filter(|(_, number)| *number < 1 << 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_in_both_widths_and_never_beyond_the_datagram() {
        let datagram = [0, 0, 0, 1, 0, 7, 0xa1, 0x20, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(header(&datagram, true), Some((1.5, 9)));
        assert_eq!(header(&datagram, false), Some((1.5, 0)));
        assert!((0..12).all(|bytes| header(&datagram[..bytes], false).is_none()));
        assert!((0..16).all(|bytes| header(&datagram[..bytes], true).is_none()));
        assert_eq!(header(&[0xff; 16], true), None);
    }
}
