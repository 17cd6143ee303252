//! Connections that others have asked for, before they have a socket.
//!
//! A segment that asks costs nothing, and its source need not be true. So it costs this side little too: a
//! record here, and an answer. A socket with its buffers is for those who have acknowledged the answer. If there
//! is none now, they stand in line, in the order in which they came; they have been told that there is no room
//! yet, so nothing that they send is lost.

use alloc::vec::Vec;

use crate::{
    Micros,
    segment::{ACK, Bare, Ends, Offer, RST, SYN},
};

/// Connections that have not been acknowledged yet, to all ports together. Beyond that, the oldest gives way.
pub(crate) const MAX_ASKED: usize = 256;
/// But not before an honest answer has had its time. What comes meanwhile is refused.
const LEAST_AGE: Micros = 10_000;
/// How long an acknowledgement may take: the answer is repeated, in growing intervals, in case it was lost.
const PATIENCE: Micros = 3_000_000;
const FIRST_REPEAT: Micros = 200_000;
/// How long somebody stands in line until he is refused.
const PATIENCE_IN_LINE: Micros = 10_000_000;

/// A connection that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) ends: Ends,
    /// The first numbers of the other side, and of this side.
    pub(crate) theirs: u32,
    pub(crate) ours: u32,
    /// The other side's offer, and this side's answer.
    pub(crate) offer: Offer,
    pub(crate) answer: Offer,
    /// The room that it was told of.
    pub(crate) room: u16,
    /// The window of the other side.
    pub(crate) window: u16,
    since: Micros,
    is_proven: bool,
    /// When the answer is due once more, and after how long it was due the last time.
    repeat: Micros,
    interval: Micros,
}

/// All that have asked, the first one first.
#[derive(Default)]
pub(crate) struct Line(Vec<Asked>);

/// What to do next for one of them.
pub(crate) enum Due {
    /// Its answer is to be repeated.
    Repeat(Asked),
    /// It has had its time, and is to hear that it is refused.
    Refuse(Asked),
}

impl Asked {
    pub(crate) fn new(ends: Ends, theirs: u32, ours: u32, offer: Offer, now: Micros) -> Self {
        Self {
            ends,
            theirs,
            ours,
            offer,
            answer: Offer::default(),
            room: 0,
            window: 0,
            since: now,
            is_proven: false,
            repeat: now + FIRST_REPEAT,
            interval: FIRST_REPEAT,
        }
    }

    /// The answer: this side would make the connection.
    pub(crate) fn answer(&self) -> Bare {
        self.segment(SYN | ACK, self.ours, self.room, self.answer)
    }

    /// The answer that refuses. It counts whether the other one has been heard or not.
    pub(crate) fn refusal(&self) -> Bare {
        self.segment(RST | ACK, self.ours.wrapping_add(1), 0, Offer::default())
    }

    /// Says that there is room now.
    pub(crate) fn room(&self, room: u16) -> Bare {
        self.segment(ACK, self.ours.wrapping_add(1), room, Offer::default())
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    fn segment(&self, flags: u8, number: u32, window: u16, offer: Offer) -> Bare {
        let (ends, acknowledged) = (self.ends.swapped(), self.theirs.wrapping_add(1));
        Bare { ends, flags, number, acknowledged, window, offer }
    }
}

impl Line {
    /// Takes somebody in. If that is one too many, it is another one who has to go, or this one.
    pub(crate) fn push(&mut self, asked: Asked, now: Micros) -> Option<Asked> {
        let mut unproven = self.0.iter().enumerate().filter(|(_, one)| !one.is_proven);
        let oldest = unproven.next().map(|(place, one)| (place, one.since));
        let count = usize::from(oldest.is_some()) + unproven.count();
        let gone = match oldest {
            Some((_, since)) if count >= MAX_ASKED && now < since + LEAST_AGE => return Some(asked),
            Some((place, _)) if count >= MAX_ASKED => Some(self.0.remove(place)),
            _ => None,
        };
        if self.0.try_reserve(1).is_err() {
            return Some(asked);
        }
        self.0.push(asked);
        gone
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn find(&mut self, ends: Ends) -> Option<&mut Asked> {
        self.0.iter_mut().find(|asked| asked.ends == ends)
    }

    pub(crate) fn remove(&mut self, ends: Ends) {
        self.0.retain(|asked| asked.ends != ends);
    }

    /// Takes out all who have asked for a port.
    pub(crate) fn clear(&mut self, port: u16) -> impl Iterator<Item = Asked> {
        self.0.extract_if(.., move |asked| asked.ends.local_port() == port)
    }

    /// Somebody has acknowledged the answer, and says what room there is on his side.
    pub(crate) fn prove(&mut self, ends: Ends, window: u16, now: Micros) {
        if let Some(asked) = self.find(ends) {
            asked.window = window;
            if !core::mem::replace(&mut asked.is_proven, true) {
                asked.since = now;
            }
        }
    }

    /// Those who stand in line at a port, the first one first.
    pub(crate) fn proven(&self, port: u16) -> impl Iterator<Item = &Asked> {
        self.of(port).filter(|asked| asked.is_proven)
    }

    /// All who have asked for a port.
    pub(crate) fn of(&self, port: u16) -> impl Iterator<Item = &Asked> {
        self.0.iter().filter(move |asked| asked.ends.local_port() == port)
    }

    /// What to do now.
    pub(crate) fn overdue(&mut self, now: Micros) -> Option<Due> {
        let place = self.0.iter().position(|asked| asked.due() <= now)?;
        let asked = &mut self.0[place];
        if now >= asked.end() {
            return Some(Due::Refuse(self.0.remove(place)));
        }
        asked.interval *= 2;
        asked.repeat = now + asked.interval;
        Some(Due::Repeat(*asked))
    }

    /// When [`Self::overdue`] will have something to say.
    pub(crate) fn due(&self) -> Option<Micros> {
        self.0.iter().map(Asked::due).min()
    }
}

impl Asked {
    fn end(&self) -> Micros {
        self.since + if self.is_proven { PATIENCE_IN_LINE } else { PATIENCE }
    }

    fn due(&self) -> Micros {
        if self.is_proven { self.end() } else { self.end().min(self.repeat) }
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddrV4};

    use super::*;

    fn asked(port: u16, now: Micros) -> Asked {
        let end = |port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port);
        Asked::new(Ends::new(end(22).into(), end(port).into()), 7, 9, Offer::default(), now)
    }

    #[test]
    fn who_has_just_come_does_not_give_way_and_who_has_proven_himself_never_does() {
        let mut line = Line::default();
        line.push(asked(1, 0), 0);
        line.prove(asked(1, 0).ends, 5, 0);
        for port in 2..2 + MAX_ASKED as u16 {
            assert!(line.push(asked(port, 0), 0).is_none());
        }
        let late = asked(9999, LEAST_AGE - 1);
        assert_eq!(line.push(late, LEAST_AGE - 1).unwrap().ends, late.ends, "it is refused");
        assert_eq!(line.push(late, LEAST_AGE).unwrap().ends, asked(2, 0).ends, "the oldest gives way");
        assert_eq!(line.proven(22).count(), 1);
    }

    #[test]
    fn an_answer_is_repeated_and_then_given_up() {
        let mut line = Line::default();
        line.push(asked(1, 0), 0);
        let mut repeats = 0;
        loop {
            let now = line.due().unwrap();
            match line.overdue(now).unwrap() {
                Due::Repeat(_) => repeats += 1,
                Due::Refuse(_) => break assert_eq!((now, repeats), (PATIENCE, 3)),
            }
        }
        line.push(asked(1, 0), 0);
        line.prove(asked(1, 0).ends, 5, 100);
        assert_eq!(line.due(), Some(100 + PATIENCE_IN_LINE));
        assert!(line.overdue(99 + PATIENCE_IN_LINE).is_none());
        assert!(matches!(line.overdue(100 + PATIENCE_IN_LINE), Some(Due::Refuse(_))));
    }
}
