//! Both ends of a port in one, for a side that copies each frame.

use core::fmt;

use super::{FrameMemory, FrameReceiver, FrameSender, OneWay};
use crate::ring::{Bell, Doorbell, RingError};

/// Both ends of a port at one side. What the other side spoils is given up, and said once.
pub struct FrameEnds<M: FrameMemory = OneWay, B = Doorbell> {
    sender: FrameSender<M, B>,
    receiver: FrameReceiver<M, B>,
    /// Who is told of it, until it has been.
    complain: Option<fn(Spoilt)>,
}

/// The other side's words are not as they can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoilt(RingError);

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; what is in the port's memory is dropped, and so it will be the next time", self.0)
    }
}

impl<M: FrameMemory, B: Bell> FrameEnds<M, B> {
    /// Takes both ends. `complain` is called at most once.
    pub fn new((sender, receiver): (FrameSender<M, B>, FrameReceiver<M, B>), complain: fn(Spoilt)) -> Self {
        Self { sender, receiver, complain: Some(complain) }
    }

    /// Length of the longest frame that can ever be sent.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.sender.longest()
    }

    /// A place for a frame of `bytes` bytes, for [`publish`](Self::publish) to send. `None` if there is no room now.
    /// (What the other side has spoilt is given up at the next [`prepare_wait`](Self::prepare_wait): here the place
    /// that is returned borrows the sender.)
    #[inline]
    pub fn reserve(&mut self, bytes: usize) -> Option<&mut [u8]> {
        self.sender.reserve(bytes).ok().flatten()
    }

    /// Sends the frame that the place of the last [`reserve`](Self::reserve) holds.
    #[inline]
    pub fn publish(&mut self, bytes: usize) {
        self.sender.publish(bytes, 0);
    }

    /// Takes the next frame into `buffer` and says how long it is. One that does not fit is lost.
    #[inline]
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            let bytes = match self.receiver.next() {
                Ok(frame) => frame?.bytes,
                Err(error) => {
                    self.start_over(error);
                    return None;
                }
            };
            let fits = bytes <= buffer.len() && self.receiver.read(0, &mut buffer[..bytes]);
            self.receiver.release();
            if fits {
                return Some(bytes);
            }
        }
    }

    /// Tells the other side what was sent and taken, if it has asked for that.
    #[inline]
    pub fn flush(&mut self) {
        self.sender.flush();
        self.receiver.flush();
    }

    /// Asks to be woken by the next frame and, if `room` is given, by room for a frame of that many bytes. False if
    /// there is one or the other already.
    #[inline]
    pub fn prepare_wait(&mut self, room: Option<usize>) -> bool {
        let no_frame = self.receiver.prepare_wait();
        let no_room = room.map_or(Ok(true), |bytes| self.sender.prepare_wait(bytes));
        match (no_frame, no_room) {
            (Ok(no_frame), Ok(no_room)) => no_frame & no_room,
            (Err(error), _) | (_, Err(error)) => {
                self.start_over(error);
                false
            }
        }
    }

    /// What is between the two sides is given up.
    #[cold]
    fn start_over(&mut self, error: RingError) {
        if let Some(complain) = self.complain.take() {
            complain(Spoilt(error));
        }
        self.sender.resync();
        self.receiver.resync();
    }
}
