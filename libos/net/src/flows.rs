//! TCP connections as their frames show them, on the way between the link and smoltcp. Three things happen
//! here that smoltcp leaves open:
//!
//! *Segments that would end the program.* smoltcp 0.14 compares sequence numbers of a segment, of what it has
//! received and of the window that it last announced, as if all of them were less than 2³¹ apart. Nothing
//! makes sure of that: of a connection whose start nobody has answered yet, the window is still that of an
//! earlier one; and a peer can put any number into a segment. Four segments of a stranger are enough for a
//! subtraction that panics. So whatever is [`FAR`] from what this side has acknowledged last, or comes before
//! it has acknowledged anything, does not reach a connection. No honest peer sends either.
//!
//! *Questions without end.* A peer whose window is 0 is asked for room again and again, in growing intervals.
//! If it acknowledges all that this side sent, its end included, and the window stays 0, smoltcp 0.14 goes on
//! to ask (in FIN-WAIT-2), in no intervals at all. A side that has ended needs no room; so it is told that
//! there is some.
//!
//! *First sequence numbers.* smoltcp's come from a generator that gives itself away after a few. Here a
//! random number is added to those of each connection, and taken off again from what the other side
//! acknowledges; so nobody sees the generator's numbers. (What the other side says of single pieces that it
//! has received, smoltcp does not read.)

use alloc::vec::Vec;

use smoltcp::{
    socket::tcp,
    wire::{IpAddress, IpEndpoint},
};

use crate::{Error, Micros};

/// What nobody can receive or announce at once: more than a heap holds. Sequence numbers that are no further
/// than this from a third one are in order, with room for a buffer between.
const FAR: u32 = 1 << 29;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Both ends of a connection: in the upper halves what the other side has, in the lower ones what this side
/// has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    addresses: u64,
    ports: u32,
}

/// What is to be done with a frame that has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// smoltcp may see it.
    Harmless,
    /// smoltcp may see it, and may find a new connection in it.
    Opens(Ends),
    /// It must not reach a connection. If there is none between these ends, smoltcp may answer it.
    Suspect(Ends),
}

/// All connections, the oldest first.
#[derive(Default)]
pub(crate) struct Flows {
    /// Never more than there are sockets; some may have ended.
    flows: Vec<Flow>,
    /// Where the last one was found: the next frame is likely to belong to it too.
    recent: usize,
}

struct Flow {
    ends: Ends,
    stage: Stage,
    /// What is added to the sequence numbers that this side sends.
    shift: u32,
    /// What acknowledges all that this side sent has this number, once this side has ended.
    end: Option<u32>,
    since: Micros,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Something has opened the connection, and this side has sent nothing since.
    Unanswered,
    /// This side has asked for the connection. What acknowledges that has this number.
    Asking(u32),
    /// This side has acknowledged what comes before this number.
    Acknowledged(u32),
}

impl Flows {
    /// Makes room for as many connections as there are sockets.
    pub(crate) fn reserve(&mut self, sockets: usize) -> Result<(), Error> {
        let more = sockets.saturating_sub(self.flows.len());
        self.flows.try_reserve(more).map_err(|_| Error::OutOfHeap)
    }

    /// Takes a connection down that is about to begin; what was known of an earlier one between the same ends
    /// is no longer so.
    pub(crate) fn open(&mut self, ends: Ends, shift: u32, now: Micros, is_live: impl Fn(Ends) -> bool) {
        self.flows.retain(|flow| flow.ends != ends);
        if self.flows.len() == self.flows.capacity() {
            self.flows.retain(|flow| is_live(flow.ends));
        }
        // If all are live, no socket is left that could take another one: smoltcp will refuse it.
        if self.flows.len() < self.flows.capacity() {
            self.flows.push(Flow { ends, stage: Stage::Unanswered, shift, end: None, since: now });
        }
    }

    /// All connections, and when they began; the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ends, Micros)> {
        self.flows.iter().map(|flow| (flow.ends, flow.since))
    }

    /// Looks at a frame that has come in, and makes of what it acknowledges smoltcp's own numbers.
    pub(crate) fn take_in(&mut self, frame: &mut [u8]) -> Verdict {
        let Some(mut segment) = Segment::of(frame) else { return Verdict::Harmless };
        let ends = segment.ends;
        let flow = self.find(ends);
        if segment.flags() & (SYN | ACK | RST | FIN) == SYN {
            if let Some(flow) = flow
                && matches!(flow.stage, Stage::Asking(_))
            {
                flow.stage = Stage::Unanswered;
            }
            return Verdict::Opens(ends);
        }
        let Some(flow) = flow else { return Verdict::Harmless };
        let is_expected = flow.is_expected(&segment);
        if segment.flags() & ACK != 0 {
            if flow.end == Some(segment.acknowledged()) {
                segment.open_window();
            }
            segment.set_acknowledged(segment.acknowledged().wrapping_sub(flow.shift));
        }
        if is_expected { Verdict::Harmless } else { Verdict::Suspect(ends) }
    }

    /// Looks at a frame that goes out, and hides smoltcp's own numbers.
    pub(crate) fn put_out(&mut self, frame: &mut [u8]) {
        let Some(mut segment) = Segment::of(frame) else { return };
        let Some(flow) = self.find(segment.ends.swapped()) else { return };
        let number = segment.number().wrapping_add(flow.shift);
        segment.set_number(number);
        if segment.flags() & FIN != 0 {
            flow.end = Some(number.wrapping_add(segment.data_bytes() + 1));
        }
        match segment.flags() & (SYN | ACK | RST) {
            SYN => flow.stage = Stage::Asking(number.wrapping_add(1)),
            flags if flags & (ACK | RST) == ACK => flow.stage = Stage::Acknowledged(segment.acknowledged()),
            _ => {}
        }
    }

    fn find(&mut self, ends: Ends) -> Option<&mut Flow> {
        if self.flows.get(self.recent).is_none_or(|flow| flow.ends != ends) {
            self.recent = self.flows.iter().position(|flow| flow.ends == ends)?;
        }
        self.flows.get_mut(self.recent)
    }
}

impl Flow {
    fn is_expected(&mut self, segment: &Segment<'_>) -> bool {
        match self.stage {
            Stage::Unanswered => false,
            Stage::Asking(answer) => {
                // smoltcp takes the connection as made, and starts to compare.
                if segment.flags() & (SYN | ACK) == SYN | ACK && segment.acknowledged() == answer {
                    self.stage = Stage::Unanswered;
                }
                true
            }
            Stage::Acknowledged(last) => segment.number().wrapping_sub(last).wrapping_add(FAR) <= 2 * FAR,
        }
    }
}

impl Ends {
    pub(crate) fn new(local: IpEndpoint, remote: IpEndpoint) -> Self {
        let [local_address, remote_address] =
            [local.addr, remote.addr].map(|IpAddress::Ipv4(address)| address);
        Self {
            addresses: u64::from(remote_address.to_bits()) << 32 | u64::from(local_address.to_bits()),
            ports: u32::from(remote.port) << 16 | u32::from(local.port),
        }
    }

    /// The ends of a socket's connection, if it has one.
    pub(crate) fn of(socket: &tcp::Socket<'_>) -> Option<Self> {
        Some(Self::new(socket.local_endpoint()?, socket.remote_endpoint()?))
    }

    pub(crate) fn local_port(self) -> u16 {
        self.ports as u16
    }

    /// As the other side sees them.
    fn swapped(self) -> Self {
        Self { addresses: self.addresses.rotate_left(32), ports: self.ports.rotate_left(16) }
    }
}

/// A TCP segment in its frame.
struct Segment<'a> {
    header: &'a mut [u8; 20],
    /// Its length, by the packet that it is in.
    bytes: u16,
    /// As those of the side that receives it.
    ends: Ends,
}

impl<'a> Segment<'a> {
    /// The segment in a frame, if there is one. Whether it is well-formed, smoltcp finds out.
    fn of(frame: &'a mut [u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_first_chunk_mut::<14>()?;
        let header = packet.first_chunk::<20>()?;
        // EtherType IPv4, protocol TCP.
        if [ethernet[12], ethernet[13], header[9]] != [8, 0, 6] {
            return None;
        }
        let addresses = u64::from(word(header, 12)) << 32 | u64::from(word(header, 16));
        let length = u16::from(header[0] & 15) * 4;
        let bytes = u16::from_be_bytes([header[2], header[3]]).wrapping_sub(length);
        let header = packet.get_mut(length.into()..)?.first_chunk_mut()?;
        Some(Self { bytes, ends: Ends { addresses, ports: word(header, 0) }, header })
    }

    fn flags(&self) -> u8 {
        self.header[13]
    }

    fn number(&self) -> u32 {
        word(self.header, 4)
    }

    fn acknowledged(&self) -> u32 {
        word(self.header, 8)
    }

    fn data_bytes(&self) -> u32 {
        u32::from(self.bytes.saturating_sub(u16::from(self.header[12] >> 4) * 4))
    }

    /// Makes of a window of 0 one of 1.
    fn open_window(&mut self) {
        if self.header[14..16] == [0, 0] {
            self.header[15] = 1;
        }
    }

    fn set_number(&mut self, number: u32) {
        self.header[4..8].copy_from_slice(&number.to_be_bytes());
    }

    fn set_acknowledged(&mut self, number: u32) {
        self.header[8..12].copy_from_slice(&number.to_be_bytes());
    }
}

fn word(bytes: &[u8; 20], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddrV4};

    use super::*;

    const HERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 22);
    const THERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 4096);
    const SHIFT: u32 = 0xffff_0000;

    fn frame(from: SocketAddrV4, to: SocketAddrV4, flags: u8, number: u32, acknowledged: u32) -> [u8; 54] {
        let mut frame = [0; 54];
        let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
        put(12, &[8, 0, 0x45]);
        put(23, &[6]);
        put(26, &[from.ip().octets(), to.ip().octets()].concat());
        put(34, &[from.port().to_be_bytes(), to.port().to_be_bytes()].concat());
        put(38, &[number.to_be_bytes(), acknowledged.to_be_bytes()].concat());
        put(46, &[0x50, flags]);
        frame
    }

    fn ends() -> Ends {
        Ends::new(HERE.into(), THERE.into())
    }

    /// Connections, with one that `open` says begins, and room for two.
    fn flows() -> Flows {
        let mut flows = Flows::default();
        flows.flows.reserve_exact(2);
        flows.open(ends(), SHIFT, 0, |_| true);
        flows
    }

    fn judge(flows: &mut Flows, flags: u8, number: u32, acknowledged: u32) -> Verdict {
        flows.take_in(&mut frame(THERE, HERE, flags, number, acknowledged))
    }

    #[test]
    fn an_accepted_connection_is_closed_to_all_until_it_is_answered_and_to_far_numbers_after_that() {
        let mut flows = flows();
        assert_eq!(judge(&mut flows, SYN, 7, 0), Verdict::Opens(ends()));
        assert_eq!(judge(&mut flows, RST, 8, 0), Verdict::Suspect(ends()));
        flows.put_out(&mut frame(HERE, THERE, SYN | ACK, 100, 8));
        for near in [8, 7, 9, 8 + FAR, 8_u32.wrapping_sub(FAR)] {
            assert_eq!(judge(&mut flows, ACK, near, 0), Verdict::Harmless, "{near}");
        }
        for far in [9 + FAR, 7_u32.wrapping_sub(FAR), 8 + (1 << 31)] {
            assert_eq!(judge(&mut flows, ACK, far, 0), Verdict::Suspect(ends()), "{far}");
        }
    }

    #[test]
    fn a_connection_that_is_asked_for_is_closed_between_its_answer_and_the_acknowledgement() {
        let mut flows = flows();
        flows.put_out(&mut frame(HERE, THERE, SYN, 100, 0));
        let answer = SHIFT + 101;
        assert_eq!(judge(&mut flows, SYN | ACK, 1, answer + 1), Verdict::Harmless);
        assert_eq!(judge(&mut flows, SYN | ACK, 1 << 31, answer), Verdict::Harmless);
        assert_eq!(judge(&mut flows, ACK, 1, answer), Verdict::Suspect(ends()));
        flows.put_out(&mut frame(HERE, THERE, ACK, 101, (1 << 31) + 1));
        assert_eq!(judge(&mut flows, ACK, (1 << 31) + 1, answer), Verdict::Harmless);
    }

    #[test]
    fn numbers_leave_shifted_and_come_back_as_they_were() {
        let mut flows = flows();
        let mut sent = frame(HERE, THERE, SYN | ACK, 0x0001_0005, 8);
        flows.put_out(&mut sent);
        assert_eq!(sent, frame(HERE, THERE, SYN | ACK, 5, 8));
        let mut received = frame(THERE, HERE, ACK, 8, 6);
        assert_eq!(flows.take_in(&mut received), Verdict::Harmless);
        assert_eq!(received, frame(THERE, HERE, ACK, 8, 0x0001_0006));
    }

    #[test]
    fn who_has_ended_and_been_acknowledged_sees_room() {
        let mut flows = flows();
        let mut sent = frame(HERE, THERE, FIN | ACK, 1, 8);
        // 40 bytes of headers, 5 of data.
        sent[16..18].copy_from_slice(&[0, 45]);
        flows.put_out(&mut sent);
        for (acknowledged, window) in [(SHIFT + 6, 0), (SHIFT + 7, 1)] {
            let mut received = frame(THERE, HERE, ACK, 8, acknowledged);
            assert_eq!(flows.take_in(&mut received), Verdict::Harmless);
            assert_eq!(received[48..50], [0, window]);
        }
    }

    #[test]
    fn what_belongs_to_no_connection_is_let_through_and_new_ones_take_the_place_of_those_that_ended() {
        let mut flows = flows();
        for port in 1..100 {
            let other = SocketAddrV4::new(*THERE.ip(), port);
            assert_eq!(flows.take_in(&mut frame(other, HERE, ACK, 1, 1)), Verdict::Harmless);
            flows.open(Ends::new(HERE.into(), other.into()), 0, 0, |open| open == ends());
            assert_eq!(flows.flows.len(), 2);
        }
        assert_eq!(judge(&mut flows, ACK, 1, 1), Verdict::Suspect(ends()));
    }

    #[test]
    fn frames_that_are_cut_off_are_let_through() {
        let mut flows = flows();
        for bytes in 0..54 {
            let verdict = flows.take_in(&mut frame(THERE, HERE, RST, 1 << 31, 0)[..bytes]);
            assert_eq!(verdict, Verdict::Harmless, "{bytes}");
        }
        let mut options = frame(THERE, HERE, ACK, 1, 1);
        options[14] = 0x4f;
        assert_eq!(flows.take_in(&mut options), Verdict::Harmless);
    }
}
