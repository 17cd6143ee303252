//! A port of a switch as a link: the frame rings of `cloison_ipc`, the events of the executor.

use cloison_abi::{
    info::{InfoEntry, InfoKind},
    port::{ETHERNET_HEADER_BYTES, PortSettings},
};
use cloison_ipc::{
    frames::{self, FrameReceiver, FrameSender},
    ring::RingError,
};
use cloison_rt::{
    log,
    sys::{Instant, info, random::random, settings},
    task, time,
};

use crate::{Error, Link, Micros};

/// A port of a switch.
pub(crate) struct Port {
    sender: FrameSender,
    receiver: FrameReceiver,
    /// The bit that the switch sets to wake this domain.
    wake: u64,
    clock: Clock,
    /// Whether it has been said already that the switch spoils the shared memory.
    has_complained: bool,
    /// A port is looked at once before anybody has woken it.
    is_new: bool,
    /// State of a generator for a CPU that has no source of random numbers.
    weak: u64,
}

/// The port of this name, with what the manifest says of it.
pub(crate) fn find(name: &str) -> Result<(&'static PortSettings, Port), Error> {
    let settings = settings::ports().iter().find(|port| port.name.as_str() == name).ok_or(Error::NoPort)?;
    let entry = info::get().find(InfoKind::Use, name).ok_or(Error::NoPort)?;
    let port = Port::new(entry).ok_or(Error::NoMemory)?;
    let longest = (settings.mtu + ETHERNET_HEADER_BYTES) as usize;
    if port.sender.longest() < longest { Err(Error::NoMemory) } else { Ok((settings, port)) }
}

impl Port {
    fn new(entry: &'static InfoEntry) -> Option<Self> {
        let (sender, receiver) = frames::attach(entry)?;
        let wake = info::event_mask(entry);
        // What differs from start to start, and from domain to domain.
        let name = info::get().domain().bytes();
        let weak = name.fold(Instant::now().0, |state, byte| mix(state ^ u64::from(byte)));
        let clock = Clock::new();
        Some(Self { sender, receiver, wake, clock, has_complained: false, is_new: true, weak })
    }

    /// The switch's side of the rings is not as it can be. Whatever is between the two sides is given up.
    fn resync(&mut self, error: RingError) {
        if !core::mem::replace(&mut self.has_complained, true) {
            log!(
                "network: {error}; what is in the port's memory is dropped, and so it will be the next time"
            );
        }
        self.sender.resync();
        self.receiver.resync();
    }
}

impl Link for Port {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            let frame = match self.receiver.next() {
                Ok(frame) => frame?,
                Err(error) => {
                    self.resync(error);
                    return None;
                }
            };
            let bytes = frame.bytes;
            let fits = bytes <= buffer.len() && self.receiver.read(0, &mut buffer[..bytes]);
            self.receiver.release();
            if fits {
                return Some(bytes);
            }
        }
    }

    fn reserve(&mut self, bytes: usize) -> Option<&mut [u8]> {
        // A port that fails is resynchronised where it can be: `reserve` returns what borrows the sender.
        self.sender.reserve(bytes).ok().flatten()
    }

    fn publish(&mut self, bytes: usize) {
        self.sender.publish(bytes, 0);
    }

    fn flush(&mut self) {
        self.sender.flush();
        self.receiver.flush();
    }

    fn prepare_wait(&mut self, room: Option<usize>) -> bool {
        let frames = self.receiver.prepare_wait();
        let room = room.map_or(Ok(true), |bytes| self.sender.prepare_wait(bytes));
        match (frames, room) {
            (Ok(frames), Ok(room)) => frames & room,
            (Err(error), _) | (_, Err(error)) => {
                self.resync(error);
                false
            }
        }
    }

    fn take_wake(&mut self) -> bool {
        let is_new = core::mem::take(&mut self.is_new);
        (task::take(self.wake) != 0) | is_new
    }

    fn wait(&mut self) {
        task::want(self.wake, Instant::NEVER);
    }

    fn wait_until(&mut self, time: Micros) {
        task::want(0, self.clock.instant(time));
    }

    fn now(&self) -> Micros {
        self.clock.micros(Instant::now())
    }

    fn random(&mut self) -> u64 {
        random().unwrap_or_else(|| {
            self.weak = self.weak.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(self.weak ^ Instant::now().0)
        })
    }
}

/// Has each bit depend on all others: the last step of MurmurHash3 for 64 bits.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

/// Ticks of the time-stamp counter as microseconds and back, by one multiplication each.
struct Clock {
    /// Microseconds in a tick, times 2⁶⁴.
    micros_per_tick: u64,
    /// Ticks in a microsecond, times 2³².
    ticks_per_micro: u64,
}

impl Clock {
    fn new() -> Self {
        // Below 1 MHz the first would overflow; no time-stamp counter is that slow.
        let hertz = u128::from(time::hertz().max(1_000_001));
        Self {
            micros_per_tick: u64::try_from((1_000_000_u128 << 64) / hertz).unwrap_or(u64::MAX),
            ticks_per_micro: u64::try_from((hertz << 32) / 1_000_000).unwrap_or(u64::MAX),
        }
    }

    fn micros(&self, instant: Instant) -> Micros {
        ((u128::from(instant.0) * u128::from(self.micros_per_tick)) >> 64) as u64
    }

    /// The first instant at which [`Clock::micros`] is not below `time`, or a little later.
    fn instant(&self, time: Micros) -> Instant {
        let ticks = (u128::from(time) * u128::from(self.ticks_per_micro)) >> 32;
        Instant(
            u64::try_from(ticks)
                .unwrap_or(u64::MAX)
                .saturating_add(self.ticks_per_micro >> 32)
                .saturating_add(1),
        )
    }
}
