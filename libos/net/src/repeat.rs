//! When what a connection has sent is to be sent once more, on a link of microseconds.
//!
//! smoltcp 0.14 waits for a second at least (RFC 6298, 2.4), which is for paths of unknown length. Between hosts
//! of one network nothing is under way for so long; what is lost there was lost at a port without room. So a
//! connection has a clock of its own here, by the same rules with another minimum.

use crate::Micros;

/// Shortest wait: four times as long as an acknowledgement may be held back (`TcpConfig`).
const SHORTEST: Micros = 40_000;
/// The wait before anything has been acknowledged.
const FIRST: Micros = 200_000;
const LONGEST: Micros = 60_000_000;
const MAX_DOUBLINGS: u32 = 10;

/// How much a connection has sent, and how much of it has been acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repeat {
    /// Everything before the first number has been acknowledged; everything before the second has been sent.
    acknowledged: u32,
    sent: u32,
    has_sent: bool,
    /// Since when an acknowledgement is waited for.
    since: Micros,
    /// The round trip being measured: a number that was sent once, and when.
    timed: Option<(u32, Micros)>,
    /// How long one takes, and by how much that differs (RFC 6298, 2).
    round_trip: Option<(Micros, Micros)>,
    /// How often it has been sent once more.
    doublings: u32,
}

impl Repeat {
    /// This side has sent something, from one number up to another one. True: once more.
    pub(crate) fn sends(&mut self, from: u32, to: u32, now: Micros) -> bool {
        if !self.has_sent {
            (self.has_sent, self.acknowledged, self.sent) = (true, from, from);
        }
        if !is_before(self.sent, to) {
            // Once more; which of the two is acknowledged, nobody can tell. Or it is a question whether the other
            // side is still there.
            self.timed = None;
            return true;
        }
        if self.is_idle() {
            self.since = now;
        }
        self.timed = self.timed.or(Some((to, now)).filter(|_| self.doublings == 0));
        self.sent = to;
        false
    }

    /// The other side has acknowledged what comes before a number.
    pub(crate) fn hears(&mut self, number: u32, now: Micros) {
        if !is_before(self.acknowledged, number) || is_before(self.sent, number) {
            return;
        }
        (self.acknowledged, self.since) = (number, now);
        if let Some((_, start)) = self.timed.take_if(|(timed, _)| !is_before(number, *timed)) {
            self.measure(now.saturating_sub(start));
        }
        self.doublings = 0;
    }

    /// When to send it once more.
    pub(crate) fn due(&self) -> Option<Micros> {
        (!self.is_idle()).then(|| self.since + self.wait())
    }

    /// It is sent once more.
    pub(crate) fn repeats(&mut self, now: Micros) {
        self.since = now;
        self.timed = None;
        self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
    }

    fn is_idle(&self) -> bool {
        self.acknowledged == self.sent
    }

    fn wait(&self) -> Micros {
        let wait = self.round_trip.map_or(FIRST, |(time, differs)| (time + 4 * differs).max(SHORTEST));
        (wait << self.doublings).min(LONGEST)
    }

    fn measure(&mut self, took: Micros) {
        self.round_trip = Some(match self.round_trip {
            None => (took, took / 2),
            Some((time, differs)) => ((7 * time + took) / 8, (3 * differs + time.abs_diff(took)) / 4),
        });
    }
}

/// Whether a number comes before another one, which are less than half of all apart.
fn is_before(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that has sent ten bytes a hundred times, each acknowledged after so long.
    fn settled(took: Micros) -> (Repeat, Micros) {
        let (mut repeat, mut now) = (Repeat::default(), 0);
        for number in (u32::MAX - 499..).step_by(10).take(50).chain((0..500).step_by(10)) {
            repeat.sends(number, number.wrapping_add(10), now);
            now += took;
            repeat.hears(number.wrapping_add(10), now);
            assert_eq!(repeat.due(), None);
        }
        (repeat, now)
    }

    #[test]
    fn the_wait_follows_the_round_trip_and_has_a_minimum() {
        for (took, wait) in [(50, SHORTEST), (10_000, SHORTEST), (300_000, 300_000)] {
            let (mut repeat, now) = settled(took);
            repeat.sends(500, 510, now);
            assert!((wait..wait * 3 / 2).contains(&(repeat.due().unwrap() - now)), "{took}");
        }
        let mut fresh = Repeat::default();
        fresh.sends(7, 8, 100);
        assert_eq!(fresh.due(), Some(100 + FIRST));
    }

    #[test]
    fn each_repetition_doubles_the_wait_until_something_new_is_acknowledged() {
        let (mut repeat, mut now) = settled(50);
        repeat.sends(500, 530, now);
        for round in 0..20 {
            let due = repeat.due().unwrap();
            assert_eq!(due - now, (SHORTEST << round.min(MAX_DOUBLINGS)).min(LONGEST), "{round}");
            now = due;
            repeat.repeats(now);
            repeat.sends(500, 530, now);
            repeat.hears(500, now);
        }
        repeat.hears(510, now);
        assert_eq!(repeat.due(), Some(now + SHORTEST), "it was not measured by what was sent twice");
        repeat.hears(531, now);
        assert!(repeat.due().is_some(), "what was not sent cannot be acknowledged");
        repeat.hears(530, now);
        assert_eq!(repeat.due(), None);
    }

    #[test]
    fn a_question_whether_somebody_is_there_awaits_nothing() {
        let (mut repeat, now) = settled(50);
        repeat.sends(499, 500, now);
        assert_eq!(repeat.due(), None);
    }
}
