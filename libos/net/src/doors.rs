//! Ports on which connections are accepted, and how those who ask for one get in: past [`Line`], and then into a
//! socket, to which it looks as if it had made the connection itself.

use alloc::vec::Vec;

use smoltcp::{
    iface::SocketHandle,
    phy::{Device, DeviceCapabilities, RxToken, TxToken},
    socket::tcp,
    time::Instant,
};

use crate::{
    Error, Micros, TcpConfig,
    door::Door,
    line::{Asked, Due},
    segment::{ACK, Bare, Ends, Offer, RST, SYN, Segment},
    stack::{Stack, alone, connection, instant},
};

/// Sockets that are kept ready for connections, with their buffers.
const READY: usize = 4;

impl Stack {
    pub(crate) fn open_door(&mut self, port: u16, backlog: usize, config: TcpConfig) -> Result<(), Error> {
        if port == 0 {
            return Err(Error::BadDestination);
        }
        if self.door(port).is_some() {
            return Err(Error::PortTaken);
        }
        self.doors.try_reserve(1).map_err(|_| Error::OutOfHeap)?;
        self.doors.push(Door { port, backlog: backlog.max(1), config, waiting: Vec::new(), made: 0 });
        self.refill(port).inspect_err(|_| self.close_door(port))
    }

    /// Closes a port. A client that has not been accepted is refused.
    pub(crate) fn close_door(&mut self, port: u16) {
        let Some(place) = self.doors.iter().position(|door| door.port == port) else { return };
        for handle in self.doors.swap_remove(place).waiting {
            self.socket::<tcp::Socket<'_>>(handle).abort();
            self.let_go(handle);
        }
        for asked in self.line.clear(port) {
            self.device.wire.send(asked.refusal().packet().bytes());
        }
    }

    /// Makes sockets ready at a port, as many as there can be.
    pub(crate) fn refill(&mut self, port: u16) -> Result<(), Error> {
        while let Some(door) = self.door(port).filter(|door| door.waiting.len() < READY.min(door.backlog)) {
            let config = door.config;
            let handle = self.add_tcp(&config)?;
            listen(self.socket(handle), port);
            if let Some(door) = self.doors.iter_mut().find(|door| door.port == port) {
                door.waiting.push(handle);
            }
            self.touch();
        }
        Ok(())
    }

    /// Whether a port has any socket, for connections or with one.
    pub(crate) fn is_barred(&self, port: u16) -> bool {
        self.door(port).is_none_or(|door| door.waiting.is_empty())
    }

    /// Takes a connection out that has been made at a port. Sockets whose connection has ended before listen
    /// again.
    pub(crate) fn take_made(&mut self, port: u16) -> Option<SocketHandle> {
        let door = self.doors.iter_mut().find(|door| door.port == port).filter(|door| door.made > 0)?;
        for handle in &door.waiting {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if !socket.is_open() {
                listen(socket, port);
                door.made = door.made.saturating_sub(1);
            }
        }
        let place = door.waiting.iter().position(|handle| is_made(self.sockets.get(*handle)))?;
        door.made = door.made.saturating_sub(1);
        Some(door.waiting.remove(place))
    }

    /// How many connections to a port wait to be accepted.
    pub(crate) fn waiting(&self, port: u16) -> usize {
        let in_sockets = self.door(port).map_or(0, |door| {
            door.waiting.iter().filter(|handle| is_made(self.sockets.get(**handle))).count()
        });
        in_sockets + self.line.proven(port).count()
    }

    /// Whether as many wait as may.
    fn is_crowded(&self, port: u16) -> bool {
        self.door(port).is_none_or(|door| self.waiting(port) >= door.backlog)
    }

    /// Somebody asks for a connection, by the segment in the packet that was taken in. Returns whether smoltcp
    /// may see it: if there is nobody who would accept.
    pub(crate) fn knock(&mut self, ends: Ends, now: Micros) -> bool {
        let Some(config) = self.door(ends.local_port()).map(|door| door.config) else { return true };
        // To all hosts at once: nobody makes a connection so.
        if self.interface.ip_addrs().first().is_none_or(|own| own.address() != ends.local_address()) {
            return false;
        }
        if !ends.has_other_side() {
            return false;
        }
        let Some(segment) = self.device.segment() else { return false };
        let (theirs, offer) = (segment.number(), segment.offer());
        match self.line.find(ends) {
            Some(asked) if asked.theirs == theirs => {
                let answer = asked.answer();
                self.device.wire.send(answer.packet().bytes());
                return false;
            }
            _ => self.line.remove(ends),
        }
        self.device.wire.flows.forget(ends);
        let ours = self.device.wire.link.random() as u32;
        let mut asked = Asked::new(ends, theirs, ours, offer, now);
        if self.is_crowded(ends.local_port()) {
            self.device.wire.send(asked.refusal().packet().bytes());
            return false;
        }
        asked.answer = Offer {
            segment_bytes: Some(u16::try_from(self.device.segment_bytes()).unwrap_or(u16::MAX)),
            scale: offer.scale.map(|_| scale(config.receive_bytes)),
            hears_of_pieces: offer.hears_of_pieces,
        };
        asked.room = if self.has_room(ends.local_port()) { room(config.receive_bytes, 0) } else { 0 };
        let gone = self.line.push(asked, now);
        if gone.is_none_or(|gone| gone.ends != ends) {
            self.device.wire.send(asked.answer().packet().bytes());
        }
        if let Some(gone) = gone {
            self.device.wire.send(gone.refusal().packet().bytes());
        }
        false
    }

    /// A segment has come that belongs to no connection. Returns whether smoltcp may see it: if nobody between
    /// these ends has asked for one, or has got one now.
    pub(crate) fn hear_stranger(&mut self, ends: Ends, now: Micros) -> bool {
        let Some(asked) = self.line.find(ends).copied() else { return true };
        let Some(segment) = self.device.segment() else { return false };
        let ahead = segment.number().wrapping_sub(asked.theirs);
        match segment.flags() & (SYN | RST | ACK) {
            RST | 0x14 if ahead == 1 => self.line.remove(ends),
            ACK if segment.acknowledged() == asked.ours.wrapping_add(1) && ahead <= u16::MAX.into() => {
                let window = segment.window();
                if !asked.is_proven() && self.is_crowded(ends.local_port()) {
                    self.line.remove(ends);
                    self.device.wire.send(asked.refusal().packet().bytes());
                    return false;
                }
                self.line.prove(ends, window, now);
                self.let_in(ends.local_port(), now);
                // Its flow is known now, and with it what smoltcp calls these numbers.
                return connection(&self.sockets, ends).is_some() && self.device.take_in_again();
            }
            // It acknowledges what was never sent: smoltcp refuses that.
            ACK => return segment.acknowledged() != asked.ours.wrapping_add(1),
            _ => {}
        }
        false
    }

    /// Does what is due in the lines.
    pub(crate) fn keep_lines(&mut self, now: Micros) {
        if self.line.is_empty() {
            return;
        }
        for place in 0..self.doors.len() {
            self.let_in(self.doors[place].port, now);
        }
        while let Some(due) = self.line.overdue(now) {
            let segment = match due {
                Due::Repeat(asked) => asked.answer(),
                Due::Refuse(asked) => asked.refusal(),
            };
            self.device.wire.send(segment.packet().bytes());
        }
    }

    /// Gives those who stand in line at a port the sockets that are free.
    fn let_in(&mut self, port: u16, now: Micros) {
        while let Some(socket) = self.free(port) {
            let Some(asked) = self.line.proven(port).next().copied() else { return };
            self.line.remove(asked.ends);
            self.make(&asked, socket, now);
        }
    }

    /// Has a socket that listens make a connection that is made already, by telling it what it would have
    /// heard, and keeping what it says to itself.
    fn make(&mut self, asked: &Asked, handle: SocketHandle, now: Micros) {
        let port = asked.ends.local_port();
        let Some(door) = self.doors.iter_mut().find(|door| door.port == port) else { return };
        door.made += 1;
        let config = door.config;
        let request = Bare {
            ends: asked.ends,
            flags: SYN,
            number: asked.theirs,
            acknowledged: 0,
            window: asked.window,
            offer: asked.offer,
        };
        let Self { interface, sockets, single, .. } = self;
        let number = alone(sockets, single, handle, |sockets| {
            let packet = request.packet();
            let mut quiet = Quiet::new(packet.bytes());
            interface.poll_ingress_single(instant(now), &mut quiet, sockets);
            interface.poll_egress(instant(now), &mut quiet, sockets);
            let number = Segment::of(&mut quiet.said)?.number();
            let number_behind = number.wrapping_add(1);
            let acknowledgement = Bare {
                flags: ACK,
                number: asked.theirs.wrapping_add(1),
                acknowledged: number_behind,
                offer: Offer::default(),
                ..request
            };
            let packet = acknowledgement.packet();
            let mut quiet = Quiet::new(packet.bytes());
            interface.poll_ingress_single(instant(now), &mut quiet, sockets);
            Some(number)
        });
        let Some(number) = number else { return };
        let (shift, expected) = (asked.ours.wrapping_sub(number), asked.theirs.wrapping_add(1));
        let is_live = |ends| connection(&self.sockets, ends).is_some();
        let is_near = self.device.wire.host.is_near(asked.ends.remote_address());
        self.device.wire.flows.made(asked.ends, shift, expected, is_near, is_live);
        if asked.room == 0 {
            let room = room(config.receive_bytes, asked.answer.scale.unwrap_or(0));
            self.device.wire.send(asked.room(room).packet().bytes());
        }
        self.touch();
    }

    pub(crate) fn door(&self, port: u16) -> Option<&Door> {
        self.doors.iter().find(|door| door.port == port)
    }

    /// A socket that listens on a port.
    fn free(&self, port: u16) -> Option<SocketHandle> {
        let listens = |handle: &&SocketHandle| self.sockets.get::<tcp::Socket<'_>>(**handle).is_listening();
        self.door(port)?.waiting.iter().find(listens).copied()
    }

    /// Whether a port has more sockets that listen than connections that have been asked for.
    fn has_room(&self, port: u16) -> bool {
        let listens = |handle: &&SocketHandle| self.sockets.get::<tcp::Socket<'_>>(**handle).is_listening();
        let free = self.door(port).map_or(0, |door| door.waiting.iter().filter(listens).count());
        free > self.line.of(port).count()
    }
}

/// Has a closed socket listen. It can only refuse an open one, or port 0.
fn listen(socket: &mut tcp::Socket<'_>, port: u16) {
    let listens = socket.listen(port);
    debug_assert!(listens.is_ok(), "a closed socket can listen");
}

/// Whether a socket at a door has a connection.
fn is_made(socket: &tcp::Socket<'_>) -> bool {
    !matches!(socket.state(), tcp::State::Listen | tcp::State::SynReceived | tcp::State::Closed)
}

/// By how many bits the windows of a buffer are shifted, so that they fit into 16: as smoltcp has it.
fn scale(bytes: usize) -> u8 {
    (usize::BITS - bytes.leading_zeros()).saturating_sub(u16::BITS) as u8
}

/// The window of an empty buffer.
fn room(bytes: usize, scale: u8) -> u16 {
    u16::try_from(bytes >> scale).unwrap_or(u16::MAX)
}

/// A device with one packet to read, that keeps what is written.
struct Quiet<'a> {
    heard: Option<&'a [u8]>,
    said: Vec<u8>,
}

impl<'a> Quiet<'a> {
    fn new(packet: &'a [u8]) -> Self {
        Self { heard: Some(packet), said: Vec::new() }
    }
}

impl Device for Quiet<'_> {
    type RxToken<'a>
        = Heard<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Said<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Heard<'_>, Said<'_>)> {
        Some((Heard(self.heard.take()?), Said(&mut self.said)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Said<'_>> {
        Some(Said(&mut self.said))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // The interface has those of the link.
        DeviceCapabilities::default()
    }
}

struct Heard<'a>(&'a [u8]);

impl RxToken for Heard<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

struct Said<'a>(&'a mut Vec<u8>);

impl TxToken for Said<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        self.0.clear();
        self.0.resize(bytes, 0);
        write(self.0)
    }
}
