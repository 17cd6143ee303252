//! smoltcp's interface and sockets, and when they are given a turn.

use alloc::{collections::VecDeque, vec::Vec};
use core::{net::Ipv4Addr, task::Waker};

use smoltcp::{
    iface::{Interface, PollResult, SocketHandle, SocketSet},
    socket::{AnySocket, Socket, tcp},
    time::Instant,
    wire::{IpCidr, Ipv4Cidr},
};

use crate::{
    Error, Micros,
    device::{Arrival, LinkDevice},
    dhcp,
    door::Door,
    flows::Verdict,
    line::Line,
    segment::Ends,
};

/// Frames that are taken in, and passes over the sockets that are made, before the program has its turn.
const FRAMES_A_TURN: usize = 64;
/// First port that is used for connections to elsewhere: from here on they are free to use (RFC 6335).
const FIRST_OWN_PORT: u16 = 49_152;
/// How long a connection that the program has let go of may take to end by itself.
const LINGER: Micros = 20_000_000;
/// How many of them there may be; beyond that, the oldest goes.
const MAX_LINGERING: usize = 16;
/// How many of these only wait for packets that may still be under way (TIME-WAIT). What they keep from
/// others is their buffers, and the worst that can come of fewer is a needless reset.
const MAX_TIME_WAIT: usize = 4;
/// What a socket takes beside its buffers: a place in a list, which is copied to a longer one when it is
/// full.
const SOCKET_BYTES: usize = 3 * size_of::<Socket<'static>>();
/// When to look again if smoltcp wants to send at once and yet sends nothing.
const RETRY: Micros = 1_000;
/// When to look again if the switch has left no room for so long. It wakes the domain when it has; this is
/// for one that is gone.
const RETRY_BLOCKED: Micros = 100_000;

/// A domain's protocol stack.
pub(crate) struct Stack {
    pub(crate) interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    pub(crate) device: LinkDevice,
    pub(crate) name_server: Option<Ipv4Addr>,
    /// Asks for an address, if the manifest states none.
    pub(crate) dhcp: Option<dhcp::Client>,
    /// How much of the heap the sockets may take.
    pub(crate) socket_bytes: usize,
    lingering: VecDeque<Lingering>,
    /// Whether the program has done something to a socket since the last turn.
    touched: bool,
    /// Whether the last turn was only for what had come in.
    has_heard: bool,
    /// Wakes the future whose turns these are.
    waker: Waker,
    /// When smoltcp wants its next turn.
    due: Option<Micros>,
    /// Where connections are accepted, and those who ask for them.
    pub(crate) doors: Vec<Door>,
    pub(crate) line: Line,
    /// Where a single socket has its turn.
    pub(crate) single: SocketSet<'static>,
}

struct Lingering {
    socket: SocketHandle,
    until: Micros,
}

impl Stack {
    pub(crate) fn new(interface: Interface, device: LinkDevice) -> Self {
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            device,
            name_server: None,
            dhcp: None,
            socket_bytes: usize::MAX,
            lingering: VecDeque::new(),
            touched: true,
            has_heard: false,
            waker: Waker::noop().clone(),
            due: None,
            doors: Vec::new(),
            line: Line::default(),
            single: SocketSet::new(Vec::new()),
        }
    }

    /// Moves what there is to move, then says what the next turn waits for.
    pub(crate) fn turn(&mut self, waker: &Waker) {
        let now = self.device.wire.link.now();
        let woken = self.device.wire.link.take_wake();
        let is_due = self.due.is_some_and(|due| now >= due);
        if !(woken | is_due | self.touched) {
            return self.wait();
        }
        self.waker.clone_from(waker);
        self.touched = false;
        self.device.is_blocked = false;
        self.device.wire.host.now = now;
        let taken = self.ingress(now);
        // What has come in reaches the program first; the turn after that sends what there is to say by then, and
        // looks at everything else.
        self.has_heard = taken > 0 && !self.has_heard;
        if self.has_heard {
            self.device.wire.link.flush();
            self.touch();
            return self.wait();
        }
        let repeats = self.repeat(now);
        let (sends, sockets_due) = self.egress(now);
        let busy = (taken == FRAMES_A_TURN) | repeats | sends;
        self.device.wire.ask_again();
        self.keep_lease(now);
        self.reap(now);
        self.keep_lines(now);
        self.device.wire.link.flush();
        let room = self.device.is_blocked.then(|| self.device.frame_bytes());
        let quiet = self.device.wire.link.prepare_wait(room);
        if busy | !quiet {
            self.touch();
        } else {
            self.due = self.next_due(now, sockets_due);
        }
        self.wait();
    }

    /// The program has done something to a socket: another turn is wanted.
    pub(crate) fn touch(&mut self) {
        self.touched = true;
        self.waker.wake_by_ref();
    }

    /// A socket of the set.
    pub(crate) fn socket<S: AnySocket<'static>>(&mut self, handle: SocketHandle) -> &mut S {
        self.sockets.get_mut(handle)
    }

    /// Lets a connection end by itself, without a program that looks after it.
    pub(crate) fn let_go(&mut self, socket: SocketHandle) {
        if self.lingering.len() == MAX_LINGERING {
            self.drop_oldest();
        }
        let until = self.device.wire.link.now() + LINGER;
        self.lingering.push_back(Lingering { socket, until });
        self.touch();
    }

    /// Makes sure that a socket with buffers of this many bytes may be added. Connections that are only waiting
    /// for their end give way to it.
    pub(crate) fn make_room(&mut self, buffers: usize) -> Result<(), Error> {
        loop {
            let taken: usize =
                self.sockets.iter().map(|(_, socket)| SOCKET_BYTES + buffer_bytes(socket)).sum();
            if taken.saturating_add(SOCKET_BYTES).saturating_add(buffers) <= self.socket_bytes {
                return Ok(());
            }
            if !self.drop_oldest() {
                return Err(Error::OutOfHeap);
            }
        }
    }

    /// Ends the oldest connection that nobody looks after. False: there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let oldest = self.lingering.pop_front();
        if let Some(lingering) = &oldest {
            self.sockets.remove(lingering.socket);
        }
        oldest.is_some()
    }

    /// A number for a socket of this domain's own choice, that nobody guesses: 0 to 16383.
    pub(crate) fn number(&mut self) -> u16 {
        self.device.wire.link.random() as u16 & 0x3fff
    }

    /// A local port that no other socket has.
    pub(crate) fn own_port(&mut self, protocol: Protocol) -> Result<u16, Error> {
        // More tries than a domain has sockets would be of little use; its memory bounds those well below
        // this.
        for _ in 0..1024 {
            let port = FIRST_OWN_PORT + self.number();
            if !has_port(&self.sockets, port, protocol) {
                return Ok(port);
            }
        }
        Err(Error::PortTaken)
    }

    /// Takes a connection down that is about to begin.
    pub(crate) fn open(&mut self, ends: Ends) {
        let shift = self.device.wire.link.random() as u32;
        let is_near = self.device.wire.host.is_near(ends.remote_address());
        self.device.wire.flows.open(ends, shift, is_near, |ends| connection(&self.sockets, ends).is_some());
    }

    /// Sets the domain's address and the router to elsewhere.
    pub(crate) fn set_address(&mut self, address: Option<Ipv4Cidr>, gateway: Option<Ipv4Addr>) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // The list has room for one, and is empty.
            addresses.extend(address.map(IpCidr::Ipv4));
        });
        self.device.wire.host.set_address(address, gateway);
    }

    /// Takes in this many frames that have come.
    fn ingress(&mut self, now: Micros) -> usize {
        for taken in 0..FRAMES_A_TURN {
            match self.device.fetch() {
                None => return taken,
                Some(Arrival::Done) => {}
                Some(Arrival::Dhcp) => self.take_dhcp(now),
                Some(Arrival::Packet(verdict)) if self.admits(verdict, now) => self.take_packet(now),
                Some(Arrival::Packet(_)) => {}
            }
        }
        FRAMES_A_TURN
    }

    fn take_packet(&mut self, now: Micros) {
        self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);
    }

    /// Whether smoltcp may see the packet that was fetched.
    fn admits(&mut self, verdict: Verdict, now: Micros) -> bool {
        match verdict {
            Verdict::Harmless => true,
            Verdict::Suspect(ends) => {
                let is_refused = connection(&self.sockets, ends).is_some();
                self.device.wire.counters.refused_in += u64::from(is_refused);
                !is_refused
            }
            Verdict::Opens(ends) => connection(&self.sockets, ends).is_some() || self.knock(ends, now),
            Verdict::Stranger(ends) => self.hear_stranger(ends, now),
        }
    }

    /// Has those connections send once more whose acknowledgement is overdue. smoltcp does so when it is time by
    /// its own clock; so a socket is shown that time. True: there may be more to send.
    fn repeat(&mut self, now: Micros) -> bool {
        let mut any = false;
        while let Some(ends) = self.device.wire.flows.overdue(now) {
            if let Some(handle) = connection(&self.sockets, ends) {
                self.hurry(handle, now);
                any = true;
            }
        }
        any
    }

    fn hurry(&mut self, handle: SocketHandle, now: Micros) {
        let timeout = self.socket::<tcp::Socket<'_>>(handle).timeout();
        self.socket::<tcp::Socket<'_>>(handle).set_timeout(None);
        let Self { interface, device, sockets, single, .. } = self;
        alone(sockets, single, handle, |sockets| {
            let repeats = device.wire.flows.repeats();
            // An acknowledgement that is held back may come first.
            for _ in 0..2 {
                let Some(due) = interface.poll_at(instant(now), sockets) else { return };
                interface.poll_egress(due.max(instant(now)), device, sockets);
                if device.wire.flows.repeats() != repeats {
                    return;
                }
            }
        });
        self.socket::<tcp::Socket<'_>>(handle).set_timeout(timeout);
    }

    /// Sends what the sockets have. Returns whether there may be more, and when smoltcp wants its next turn, if it says
    /// so.
    fn egress(&mut self, now: Micros) -> (bool, Option<Micros>) {
        for _ in 0..FRAMES_A_TURN {
            let result = self.interface.poll_egress(instant(now), &mut self.device, &mut self.sockets);
            let due = self.interface.poll_at(instant(now), &self.sockets);
            let due = due.map(|due| u64::try_from(due.total_micros()).unwrap_or(0));
            // To ask when something is due costs less than to look for more to send and to find none.
            if result == PollResult::None || due.is_none_or(|due| due > now) {
                return (false, due);
            }
        }
        (true, None)
    }

    fn next_due(&self, now: Micros, sockets: Option<Micros>) -> Option<Micros> {
        if self.device.is_blocked {
            return Some(now + RETRY_BLOCKED);
        }
        let wire = &self.device.wire;
        let due = [
            sockets,
            self.lingering.front().map(|lingering| lingering.until),
            self.line.due(),
            wire.flows.due(),
            wire.host.neighbours.due(),
            self.dhcp.as_ref().map(dhcp::Client::due),
        ];
        let due = due.into_iter().flatten().fold(Micros::MAX, Micros::min);
        (due != Micros::MAX).then(|| if due <= now { now + RETRY } else { due })
    }

    fn wait(&mut self) {
        self.device.wire.link.wait();
        if let Some(due) = self.due {
            self.device.wire.link.wait_until(due);
        }
    }

    /// Removes connections that have ended, or have had their time.
    fn reap(&mut self, now: Micros) {
        if self.lingering.is_empty() {
            return;
        }
        let sockets = &mut self.sockets;
        let state = |sockets: &SocketSet<'_>, lingering: &Lingering| {
            sockets.get::<tcp::Socket<'_>>(lingering.socket).state()
        };
        let waiting = self.lingering.iter().filter(|one| state(sockets, one) == tcp::State::TimeWait).count();
        let mut surplus = waiting.saturating_sub(MAX_TIME_WAIT);
        self.lingering.retain(|lingering| {
            let stays = match state(sockets, lingering) {
                // A reset that still has to be sent keeps the address of the other side.
                tcp::State::Closed => {
                    sockets.get::<tcp::Socket<'_>>(lingering.socket).remote_endpoint().is_some()
                }
                tcp::State::TimeWait if surplus > 0 => {
                    surplus -= 1;
                    false
                }
                _ => true,
            };
            let stays = stays && now < lingering.until;
            if !stays {
                sockets.remove(lingering.socket);
            }
            stays
        });
    }

    /// A DHCP server has said something; but perhaps to somebody else, who has the port as well.
    fn take_dhcp(&mut self, now: Micros) {
        let random = self.device.wire.link.random();
        match &mut self.dhcp {
            None => self.take_packet(now),
            Some(client) => {
                let outcome = client.take(self.device.packet(), now, random);
                self.carry_out(outcome);
            }
        }
    }

    /// Asks for an address, or for more time with it, when that is due.
    fn keep_lease(&mut self, now: Micros) {
        if let Some(client) = self.dhcp.as_mut().filter(|client| client.due() <= now) {
            let outcome = client.turn(now, self.device.wire.link.random());
            self.carry_out(outcome);
        }
    }

    fn carry_out(&mut self, outcome: dhcp::Outcome) {
        if let Some(packet) = outcome.packet {
            self.device.wire.send(&packet);
        }
        let Some(lease) = outcome.lease else { return };
        let address = lease.map(|lease| lease.cidr());
        self.name_server = lease.and_then(|lease| lease.name_server).or(self.name_server);
        let router = lease.and_then(|lease| lease.router);
        if self.interface.ip_addrs().first() != address.map(IpCidr::Ipv4).as_ref() {
            self.set_address(address, router);
        } else {
            self.device.wire.host.set_gateway(router);
        }
        self.touch();
    }
}

/// Gives a socket a turn without the others: in a set of its own, until the turn is over.
pub(crate) fn alone<R>(
    sockets: &mut SocketSet<'static>,
    single: &mut SocketSet<'static>,
    handle: SocketHandle,
    turn: impl FnOnce(&mut SocketSet<'static>) -> R,
) -> R {
    let nothing = || tcp::SocketBuffer::new(Vec::new());
    let placeholder = tcp::Socket::new(nothing(), nothing());
    let socket = core::mem::replace(sockets.get_mut(handle), placeholder);
    let place = single.add(socket);
    let result = turn(single);
    if let Socket::Tcp(socket) = single.remove(place) {
        *sockets.get_mut(handle) = socket;
    }
    result
}

/// The socket that has the connection between two ends.
pub(crate) fn connection(sockets: &SocketSet<'_>, ends: Ends) -> Option<SocketHandle> {
    let has = |socket: &Socket<'_>| matches!(socket, Socket::Tcp(socket) if Ends::of(socket) == Some(ends));
    sockets.iter().find(|(_, socket)| has(socket)).map(|(handle, _)| handle)
}

/// How much of the heap a socket's buffers take, in bytes.
fn buffer_bytes(socket: &Socket<'_>) -> usize {
    match socket {
        Socket::Tcp(socket) => socket.recv_capacity() + socket.send_capacity(),
        Socket::Udp(socket) => socket.payload_recv_capacity() + socket.payload_send_capacity(),
        Socket::Icmp(socket) => socket.payload_recv_capacity() + socket.payload_send_capacity(),
    }
}

/// Whether a socket of the set has this local port.
pub(crate) fn has_port(sockets: &SocketSet<'_>, port: u16, protocol: Protocol) -> bool {
    sockets.iter().any(|(_, socket)| match (socket, protocol) {
        (Socket::Udp(socket), Protocol::Udp) => socket.endpoint().port == port,
        (Socket::Tcp(socket), Protocol::Tcp) => {
            socket.listen_endpoint().port == port
                || socket.local_endpoint().is_some_and(|end| end.port == port)
        }
        _ => false,
    })
}

/// The protocols that have ports.
#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// A time as smoltcp has it.
pub(crate) fn instant(time: Micros) -> Instant {
    Instant::from_micros(time as i64)
}
