//! The way of a frame: out of its sender's ring and into its receivers'.
//!
//! A frame's start is read into private memory once. What is decided is decided from there, and what is sent
//! begins with it; so a sender that changes its frame meanwhile gains nothing. The rest is copied straight
//! from ring to ring.

use alloc::{boxed::Box, vec::Vec};

use cloison_abi::port::PortSettings;
use cloison_ipc::{
    frames::{self, FrameReceiver, FrameSender},
    ring::RingError,
};
use cloison_rt::{
    log,
    sys::{Instant, KeptSignal, info},
};
use ore_switch::{Cause, Header, Pace, PortSet, START_BYTES, Switch};

use crate::Unfit;

/// Frames that a port may send before the next port has its turn. A frame counts once for each receiver, so
/// that those for everybody do not make a turn long.
const BATCH: usize = 32;

/// All ports, and the switch between them.
pub(crate) struct Plane {
    pub(crate) switch: Box<Switch>,
    pub(crate) pace: Pace,
    pub(crate) settings: &'static [PortSettings],
    /// To the domains at the ports.
    senders: Vec<FrameSender>,
    /// From the domains at the ports.
    receivers: Vec<FrameReceiver>,
    /// Ports that something was sent to and that have not been told yet.
    untold: PortSet,
    /// The signal to the port that is told last. It goes with the next wait.
    pub(crate) kept: Option<KeptSignal>,
    /// Ports that are cut off, because nonsense was in their rings.
    pub(crate) cut_off: PortSet,
    /// How often each port was.
    cuts: Vec<u32>,
    /// Whether no frame passes, as the monitor has not said yet what it closes.
    pub(crate) is_closed: bool,
}

impl Plane {
    /// A switch whose ports are still to be attached.
    pub(crate) fn new(settings: &'static [PortSettings], hertz: u64) -> Self {
        Self {
            switch: Box::new(Switch::new(settings, hertz)),
            pace: Pace::new(settings, hertz),
            settings,
            senders: Vec::new(),
            receivers: Vec::new(),
            untold: PortSet::EMPTY,
            kept: None,
            cut_off: PortSet::EMPTY,
            cuts: Vec::new(),
            is_closed: false,
        }
    }

    /// Attaches the next port, in the order of the settings. Returns the bit of the event by which the domain
    /// there signals.
    pub(crate) fn attach(&mut self, client: &'static info::Client) -> Result<u32, Unfit> {
        let (sender, receiver) = frames::attach(client).ok_or(Unfit::NoMemory(client.channel.peer))?;
        self.senders.push(sender);
        self.receivers.push(receiver);
        self.cuts.push(0);
        Ok(client.channel.event_bit)
    }

    /// Gives each of these ports a turn, if it may have one now. Returns the ports that have more to send, or
    /// had no turn. The others will signal.
    pub(crate) fn carry(&mut self, ports: PortSet) -> PortSet {
        let mut now = Instant::now().0;
        let (mut more, mut left) = (PortSet::EMPTY, ports & !self.cut_off);
        while let Some(port) = self.pace.next(left, now) {
            left = left & !PortSet::of(port);
            let has_more = self.turn(port, now);
            let begin = core::mem::replace(&mut now, Instant::now().0);
            let may_go_on = self.pace.charge_turn(port, now.saturating_sub(begin), now);
            if has_more || !may_go_on {
                more = more | PortSet::of(port);
            }
        }
        more | left
    }

    /// Lets in those of these ports that were cut off: their domains have signalled, as each one does when it
    /// starts. Returns the ports again.
    pub(crate) fn wake(&mut self, ports: PortSet) -> PortSet {
        for port in ports & self.cut_off {
            self.let_in(port);
        }
        ports
    }

    /// Takes in a batch from a port, and tells the receivers. Returns whether there may be more.
    fn turn(&mut self, from: usize, now: u64) -> bool {
        // What the turn before has sent does not wait for this one.
        self.kept = None;
        let more = self.take_batch(from, now);
        for port in core::mem::take(&mut self.untold) {
            if let Some(signal) = self.senders[port].flush_keeping() {
                // One that was kept before is given now.
                self.kept = Some(signal);
            }
        }
        more.unwrap_or_else(|_| {
            self.cut_off(from);
            false
        })
    }

    #[inline]
    fn take_batch(&mut self, from: usize, now: u64) -> Result<bool, RingError> {
        let mut left = BATCH;
        while left > 0 {
            let Some(frame) = self.receivers[from].next()? else {
                self.receivers[from].flush();
                return self.receivers[from].prepare_wait().map(|asleep| !asleep);
            };
            left = left.saturating_sub(self.take(from, frame.bytes, now));
            self.receivers[from].release();
            if !self.pace.charge_frame(from, frame.bytes, now) {
                break;
            }
        }
        self.receivers[from].flush();
        Ok(true)
    }

    /// Takes in a frame. Returns for how many it counts.
    #[inline]
    fn take(&mut self, from: usize, bytes: usize, now: u64) -> usize {
        let start = self.receivers[from].start();
        let Some(header) = Header::parse(&start, bytes) else {
            self.switch.refuse_runt(from, bytes);
            return 1;
        };
        let mut copies = 0;
        for to in self.switch.take(from, &header, now) {
            copies += 1;
            match self.send(from, to, &start, bytes) {
                Ok(()) => self.switch.count_out(to, bytes),
                Err(cause) => self.switch.count_dropped(to, cause),
            }
        }
        copies.max(1)
    }

    /// Sends a frame on, if the receiver has room for it now.
    #[inline]
    fn send(&mut self, from: usize, to: usize, start: &[u8; START_BYTES], bytes: usize) -> Result<(), Cause> {
        if bytes > self.switch.longest(to) {
            return Err(Cause::TooLong);
        }
        if self.cut_off.has(to) {
            return Err(Cause::CutOff);
        }
        let (receiver, sender) = (&self.receivers[from], &mut self.senders[to]);
        match sender.reserve(bytes) {
            Ok(Some(place)) => match place.first_chunk_mut() {
                Some(first) => *first = *start,
                None => place.copy_from_slice(&start[..bytes]),
            },
            Ok(None) => return Err(Cause::NoRoom),
            Err(RingError::TooLong(_)) => return Err(Cause::TooLong),
            Err(_) => return Err(self.cut_off(to)),
        }
        if bytes > START_BYTES && !receiver.copy_to(START_BYTES, sender, START_BYTES, bytes - START_BYTES) {
            return Err(Cause::NoRoom);
        }
        sender.publish(bytes, from as u32);
        self.untold = self.untold | PortSet::of(to);
        Ok(())
    }

    /// Has nothing more to do with a port until its domain signals. A port can bring this about as often as
    /// it likes; only the first time and each time that doubles the number is worth a line.
    #[cold]
    fn cut_off(&mut self, port: usize) -> Cause {
        self.cut_off = self.cut_off | PortSet::of(port);
        self.cuts[port] = self.cuts[port].saturating_add(1);
        if self.cuts[port].is_power_of_two() {
            // To log is to call a gate, and to wait for its server.
            self.kept = None;
            let (name, times) = (self.settings[port].name, self.cuts[port]);
            let (sent, read) = (self.receivers[port].positions(), self.senders[port].positions());
            log!(
                "{name} is cut off (no. {times}): its rings make no sense; it sent up to {}, of which {} is read, \
                 and has read up to {} of {}",
                sent.other,
                sent.own,
                read.other,
                read.own
            );
        }
        Cause::CutOff
    }

    /// Begins again with a port that was cut off.
    #[cold]
    fn let_in(&mut self, port: usize) {
        self.cut_off = self.cut_off & !PortSet::of(port);
        self.senders[port].resync();
        self.receivers[port].resync();
        if self.cuts[port].is_power_of_two() {
            log!("{} has signalled and is let in again", self.settings[port].name);
        }
    }
}
