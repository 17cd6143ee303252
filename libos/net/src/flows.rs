//! TCP connections as their packets show them, on the way between the link and smoltcp. Three things happen
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

use crate::{
    Error, Micros,
    repeat::Repeat,
    segment::{ACK, Ends, FIN, RST, SYN, Segment},
};

/// What nobody can receive or announce at once: more than a heap holds. Sequence numbers that are no further
/// than this from a third one are in order, with room for a buffer between.
const FAR: u32 = 1 << 29;

/// How to treat a packet that has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// smoltcp may see it.
    Harmless,
    /// It asks for a new connection.
    Opens(Ends),
    /// It belongs to no connection that is known here.
    Stranger(Ends),
    /// It must not reach a connection. If there is none between these ends, smoltcp may answer it.
    Suspect(Ends),
}

/// All connections.
#[derive(Default)]
pub(crate) struct Flows {
    /// Never more than there are sockets; some may have ended.
    flows: Vec<Flow>,
    /// Where the last one was found: the next frame is likely to belong to it too.
    recent: usize,
    repeats: u64,
}

struct Flow {
    ends: Ends,
    stage: Stage,
    /// The number that is added to this side's sequence numbers.
    shift: u32,
    /// The number that acknowledges everything this side has sent, once this side has ended.
    end: Option<u32>,
    /// When to send once more, if both ends are in one network.
    repeat: Option<Repeat>,
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
    pub(crate) fn open(&mut self, ends: Ends, shift: u32, is_near: bool, is_live: impl Fn(Ends) -> bool) {
        self.forget(ends);
        if self.flows.len() == self.flows.capacity() {
            self.flows.retain(|flow| is_live(flow.ends));
        }
        // If all are live, no socket is left that could take another one: smoltcp will refuse it.
        if self.flows.len() < self.flows.capacity() {
            let repeat = is_near.then(Repeat::default);
            self.flows.push(Flow { ends, stage: Stage::Unanswered, shift, end: None, repeat });
        }
    }

    /// Takes down a connection that others have asked for, and that is made: its numbers are shifted by so
    /// much, and this side has acknowledged what comes before a number.
    pub(crate) fn made(
        &mut self,
        ends: Ends,
        shift: u32,
        acknowledged: u32,
        is_near: bool,
        is_live: impl Fn(Ends) -> bool,
    ) {
        self.open(ends, shift, is_near, is_live);
        if let Some(flow) = self.find(ends) {
            flow.stage = Stage::Acknowledged(acknowledged);
        }
    }

    /// Forgets a connection.
    pub(crate) fn forget(&mut self, ends: Ends) {
        self.flows.retain(|flow| flow.ends != ends);
    }

    /// How many segments have been sent once more.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// When something is to be sent once more.
    pub(crate) fn due(&self) -> Option<Micros> {
        self.flows.iter().filter_map(|flow| flow.repeat?.due()).min()
    }

    /// A connection that has to send something once more.
    pub(crate) fn overdue(&mut self, now: Micros) -> Option<Ends> {
        let is_due =
            |flow: &&mut Flow| flow.repeat.and_then(|repeat| repeat.due()).is_some_and(|due| due <= now);
        let flow = self.flows.iter_mut().find(is_due)?;
        flow.repeat.iter_mut().for_each(|repeat| repeat.repeats(now));
        Some(flow.ends)
    }

    /// Looks at a packet that has come in, and makes of what it acknowledges smoltcp's own numbers.
    pub(crate) fn take_in(&mut self, packet: &mut [u8], now: Micros) -> Verdict {
        let Some(mut segment) = Segment::of(packet) else { return Verdict::Harmless };
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
        let Some(flow) = flow else { return Verdict::Stranger(ends) };
        let is_expected = flow.is_expected(&segment);
        if segment.flags() & ACK != 0 {
            if let Some(repeat) = flow.repeat.as_mut().filter(|_| is_expected) {
                repeat.hears(segment.acknowledged(), now);
            }
            if flow.end == Some(segment.acknowledged()) {
                segment.open_window();
            }
            segment.set_acknowledged(segment.acknowledged().wrapping_sub(flow.shift));
        }
        if is_expected { Verdict::Harmless } else { Verdict::Suspect(ends) }
    }

    /// Looks at a packet that goes out, and hides smoltcp's own numbers.
    pub(crate) fn put_out(&mut self, packet: &mut [u8], now: Micros) {
        let Some(mut segment) = Segment::of(packet) else { return };
        let Some(flow) = self.find(segment.ends.swapped()) else { return };
        let number = segment.number().wrapping_add(flow.shift);
        segment.set_number(number);
        let ends_here = u32::from(segment.flags() & (FIN | SYN) != 0);
        let behind = number.wrapping_add(segment.data_bytes() + ends_here);
        if segment.flags() & FIN != 0 {
            flow.end = Some(behind);
        }
        match segment.flags() & (SYN | ACK | RST) {
            SYN => flow.stage = Stage::Asking(number.wrapping_add(1)),
            flags if flags & (ACK | RST) == ACK => flow.stage = Stage::Acknowledged(segment.acknowledged()),
            _ => {}
        }
        if let Some(repeat) = flow.repeat.as_mut().filter(|_| behind != number) {
            let is_repeated = repeat.sends(number, behind, now);
            self.repeats += u64::from(is_repeated);
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

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddrV4};

    use super::*;

    const HERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 22);
    const THERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 4096);
    const SHIFT: u32 = 0xffff_0000;

    fn packet(from: SocketAddrV4, to: SocketAddrV4, flags: u8, number: u32, acknowledged: u32) -> [u8; 40] {
        let mut packet = [0; 40];
        let mut put = |at: usize, bytes: &[u8]| packet[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0x45]);
        put(9, &[6]);
        put(12, &[from.ip().octets(), to.ip().octets()].concat());
        put(20, &[from.port().to_be_bytes(), to.port().to_be_bytes()].concat());
        put(24, &[number.to_be_bytes(), acknowledged.to_be_bytes()].concat());
        put(32, &[0x50, flags]);
        packet
    }

    fn ends() -> Ends {
        Ends::new(HERE.into(), THERE.into())
    }

    /// Connections, with one that `open` says begins, and room for two.
    fn flows() -> Flows {
        let mut flows = Flows::default();
        flows.flows.reserve_exact(2);
        flows.open(ends(), SHIFT, false, |_| true);
        flows
    }

    fn judge(flows: &mut Flows, flags: u8, number: u32, acknowledged: u32) -> Verdict {
        flows.take_in(&mut packet(THERE, HERE, flags, number, acknowledged), 0)
    }

    #[test]
    fn an_accepted_connection_is_closed_to_all_until_it_is_answered_and_to_far_numbers_after_that() {
        let mut flows = flows();
        assert_eq!(judge(&mut flows, SYN, 7, 0), Verdict::Opens(ends()));
        assert_eq!(judge(&mut flows, RST, 8, 0), Verdict::Suspect(ends()));
        flows.put_out(&mut packet(HERE, THERE, SYN | ACK, 100, 8), 0);
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
        flows.put_out(&mut packet(HERE, THERE, SYN, 100, 0), 0);
        let answer = SHIFT + 101;
        assert_eq!(judge(&mut flows, SYN | ACK, 1, answer + 1), Verdict::Harmless);
        assert_eq!(judge(&mut flows, SYN | ACK, 1 << 31, answer), Verdict::Harmless);
        assert_eq!(judge(&mut flows, ACK, 1, answer), Verdict::Suspect(ends()));
        flows.put_out(&mut packet(HERE, THERE, ACK, 101, (1 << 31) + 1), 0);
        assert_eq!(judge(&mut flows, ACK, (1 << 31) + 1, answer), Verdict::Harmless);
    }

    #[test]
    fn numbers_leave_shifted_and_come_back_as_they_were() {
        let mut flows = flows();
        let mut sent = packet(HERE, THERE, SYN | ACK, 0x0001_0005, 8);
        flows.put_out(&mut sent, 0);
        assert_eq!(sent, packet(HERE, THERE, SYN | ACK, 5, 8));
        let mut received = packet(THERE, HERE, ACK, 8, 6);
        assert_eq!(flows.take_in(&mut received, 0), Verdict::Harmless);
        assert_eq!(received, packet(THERE, HERE, ACK, 8, 0x0001_0006));
    }

    #[test]
    fn who_has_ended_and_been_acknowledged_sees_room() {
        let mut flows = flows();
        let mut sent = packet(HERE, THERE, FIN | ACK, 1, 8);
        // 40 bytes of headers, 5 of data.
        sent[2..4].copy_from_slice(&[0, 45]);
        flows.put_out(&mut sent, 0);
        for (acknowledged, window) in [(SHIFT + 6, 0), (SHIFT + 7, 1)] {
            let mut received = packet(THERE, HERE, ACK, 8, acknowledged);
            assert_eq!(flows.take_in(&mut received, 0), Verdict::Harmless);
            assert_eq!(received[34..36], [0, window]);
        }
    }

    #[test]
    fn what_belongs_to_no_connection_is_let_through_and_new_ones_take_the_place_of_those_that_ended() {
        let mut flows = flows();
        for port in 1..100 {
            let other = SocketAddrV4::new(*THERE.ip(), port);
            let ends_of_other = Ends::new(HERE.into(), other.into());
            let verdict = flows.take_in(&mut packet(other, HERE, ACK, 1, 1), 0);
            assert_eq!(verdict, Verdict::Stranger(ends_of_other));
            flows.open(ends_of_other, 0, false, |open| open == ends());
            assert_eq!(flows.flows.len(), 2);
        }
        assert_eq!(judge(&mut flows, ACK, 1, 1), Verdict::Suspect(ends()));
    }

    #[test]
    fn packets_that_are_cut_off_are_let_through() {
        let mut flows = flows();
        for bytes in 0..40 {
            let verdict = flows.take_in(&mut packet(THERE, HERE, RST, 1 << 31, 0)[..bytes], 0);
            assert_eq!(verdict, Verdict::Harmless, "{bytes}");
        }
        let mut options = packet(THERE, HERE, ACK, 1, 1);
        options[0] = 0x4f;
        assert_eq!(flows.take_in(&mut options, 0), Verdict::Harmless);
    }
}
