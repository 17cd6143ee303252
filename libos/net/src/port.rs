//! A port of a switch as a link: the frame rings of `cloison_ipc`, the events of the executor.

use cloison_abi::port::{ETHERNET_HEADER_BYTES, PortSettings};
use cloison_ipc::frames::{self, FrameEnds};
use cloison_rt::{
    log,
    sys::{Instant, info, random::random, settings},
    task, time,
};

use crate::{Error, Link, Micros};

/// A port of a switch.
pub(crate) struct Port {
    ends: FrameEnds,
    /// The bit that the switch sets to wake this domain.
    wake: u64,
    clock: Clock,
    /// A port is looked at once before anybody has woken it.
    is_new: bool,
    /// State of a generator for a CPU that has no source of random numbers.
    weak: u64,
}

/// The port of this name, with what the manifest says of it.
pub(crate) fn find(name: &str) -> Result<(&'static PortSettings, Port), Error> {
    let settings = settings::ports().iter().find(|port| port.name.as_str() == name).ok_or(Error::NoPort)?;
    let entry = info::get().find::<info::Use>(name).ok_or(Error::NoPort)?;
    let port = Port::new(entry).ok_or(Error::NoMemory)?;
    let longest = (settings.mtu + ETHERNET_HEADER_BYTES) as usize;
    if port.ends.longest() < longest { Err(Error::NoMemory) } else { Ok((settings, port)) }
}

impl Port {
    fn new(port: &'static info::Use) -> Option<Self> {
        let ends = FrameEnds::new(frames::attach(port)?, |spoilt| log!("network: {spoilt}"));
        let wake = info::event_mask(port);
        // What differs from start to start, and from domain to domain.
        let name = info::get().domain().bytes();
        let weak = name.fold(Instant::now().0, |state, byte| mix(state ^ u64::from(byte)));
        let clock = Clock::new();
        Some(Self { ends, wake, clock, is_new: true, weak })
    }
}

impl Link for Port {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.ends.receive(buffer)
    }

    fn reserve(&mut self, bytes: usize) -> Option<&mut [u8]> {
        self.ends.reserve(bytes)
    }

    fn publish(&mut self, bytes: usize) {
        self.ends.publish(bytes);
    }

    fn flush(&mut self) {
        self.ends.flush();
    }

    fn prepare_wait(&mut self, room: Option<usize>) -> bool {
        self.ends.prepare_wait(room)
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
