//! When a port has its turn.
//!
//! The switch runs above the domains at its ports and on a budget of its own, and what it has to do costs a
//! domain almost nothing to ask for: one store can offer a ringful of records. So what the switch does for a
//! port is measured, and a port that has used up its share stays in its ring until it has a share again: its
//! frames are late, not lost, and cost nothing meanwhile. A port over its rate waits in the same way.

use cloison_abi::port::{MAX_PORTS, PortSettings};

use crate::{PortSet, bucket::Bucket};

/// What part of the time a port's turns may take: a third, so that a hostile port leaves the domains below the
/// switch two thirds of the CPU, and the other ports as much of the switch's time as it takes itself. A TCP
/// transfer between two domains takes a seventh.
const PORT_SHARE: (u64, u64) = (1, 3);
/// What part all turns together may take. In a system with a console, a network card and one switch, that state no
/// budgets, the switch has 58 %: with the burst, a turn that has begun, and the answers to questions, this stays
/// below it. Beyond it the switch would fall into the background, where anybody who computes could keep it, and
/// with it every port, from running.
const ALL_SHARE: (u64, u64) = (2, 5);
/// How much of its share can be used at once after a rest, as a part of a second. In a millisecond the switch
/// empties a full ring of short frames, or several of long ones. It is also the most that a turn can count: a
/// turn is much shorter, and if it seems not to be, somebody of a higher priority ran meanwhile.
const BURSTS_PER_SECOND: u64 = 1000;
/// What turns of a port are counted together until they come to this part of a burst, because counting costs about as much
/// as a short turn does.
const TOGETHER_PER_BURST: u64 = 64;
/// What a turn counts besides what is measured, as a part of a second: the kernel's work when a signal wakes
/// the switch, and when it goes to sleep again (some 800 instructions).
const WAKES_PER_SECOND: u64 = 1_000_000;
/// What a frame counts at least towards a port's rate, in bytes: the shortest one of Ethernet.
const SHORTEST: u64 = 64;

/// Who may have a turn, and when.
#[derive(Clone, Debug)]
pub struct Pace {
    /// What each port may still send.
    rates: [Bucket; MAX_PORTS],
    /// What turns of each port have taken and is not counted yet.
    uncounted: [u64; MAX_PORTS],
    /// What each port's turns may still take.
    times: [Bucket; MAX_PORTS],
    /// What all of them may.
    all: Bucket,
    /// From when on.
    all_until: u64,
    /// Ports that have to wait, and until when.
    held: PortSet,
    until: [u64; MAX_PORTS],
    /// The port that had the last turn.
    last: usize,
    burst: u64,
    together: u64,
    wake: u64,
}

impl Pace {
    /// The pace of a switch with these ports. `hertz` is the frequency of the clock that all times given to
    /// the other functions are read from.
    #[must_use]
    pub fn new(settings: &[PortSettings], hertz: u64) -> Self {
        let burst = hertz / BURSTS_PER_SECOND;
        let share = |share| Bucket::new(share, burst);
        let rate = |port: &PortSettings| Bucket::new((port.rate_bytes, hertz), port.burst_bytes);
        let unlimited = rate(&PortSettings::default());
        Self {
            rates: core::array::from_fn(|port| settings.get(port).map_or(unlimited, rate)),
            uncounted: [0; MAX_PORTS],
            times: [share(PORT_SHARE); MAX_PORTS],
            all: share(ALL_SHARE),
            all_until: 0,
            held: PortSet::EMPTY,
            until: [0; MAX_PORTS],
            last: 0,
            burst,
            together: burst / TOGETHER_PER_BURST,
            wake: hertz / WAKES_PER_SECOND,
        }
    }

    /// Which of these ports has the next turn, if one may have it now: each in its order, from behind the one
    /// that had the last.
    #[inline]
    pub fn next(&mut self, ports: PortSet, now: u64) -> Option<usize> {
        if ports.is_empty() {
            return None;
        }
        if !self.held.is_empty() {
            self.let_go(now);
        }
        let ready = ports & !self.held;
        let behind = ready & PortSet(!1 << self.last);
        let next = behind.first().or_else(|| ready.first());
        next.filter(|_| self.all_until <= now)
    }

    /// Counts a frame that was taken in during a turn. Returns whether the port may send another.
    #[inline]
    pub fn charge_frame(&mut self, port: usize, bytes: usize, now: u64) -> bool {
        let until = self.rates[port].take((bytes as u64).max(SHORTEST), now);
        self.hold(port, until, now)
    }

    /// Counts a turn, which is over now and took this number of ticks. Returns whether the port may have another.
    #[inline]
    pub fn charge_turn(&mut self, port: usize, ticks: u64, now: u64) -> bool {
        self.last = port;
        let uncounted = &mut self.uncounted[port];
        *uncounted = uncounted.saturating_add(ticks).saturating_add(self.wake);
        if *uncounted < self.together { !self.held.has(port) } else { self.count_turns(port, now) }
    }

    /// Counts what turns of a port have taken, towards its share and that of all.
    #[inline(never)]
    fn count_turns(&mut self, port: usize, now: u64) -> bool {
        let ticks = core::mem::take(&mut self.uncounted[port]).min(self.burst);
        self.all_until = self.all.take(ticks, now);
        let until = self.times[port].take(ticks, now);
        self.hold(port, until, now)
    }

    /// When the next one of these ports may have a turn: now, if that is past; `None` if there is none.
    #[must_use]
    pub fn next_at(&self, ports: PortSet) -> Option<u64> {
        let at = |port: usize| if self.held.has(port) { self.until[port] } else { 0 };
        ports.map(at).min().map(|first| first.max(self.all_until))
    }

    /// Lets a port wait, if it has to.
    #[inline]
    fn hold(&mut self, port: usize, until: u64, now: u64) -> bool {
        if until > now {
            let before = if self.held.has(port) { self.until[port] } else { 0 };
            self.until[port] = until.max(before);
            self.held = self.held | PortSet::of(port);
        }
        !self.held.has(port)
    }

    /// Whose time has come waits no longer.
    #[cold]
    fn let_go(&mut self, now: u64) {
        let over: PortSet = self.held.filter(|port| self.until[*port] <= now).collect();
        self.held = self.held & !over;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;

    const HERTZ: u64 = 1_000_000_000;
    const SECOND: u64 = HERTZ;

    /// Lets ports that always have something to send go on for a second, each with turns of a given length.
    /// Returns how much of the time each got.
    fn share<const PORTS: usize>(ticks: [u64; PORTS]) -> [f64; PORTS] {
        let (mut pace, mut used, mut now) = (Pace::new(&[], HERTZ), [0; PORTS], 0);
        let all: PortSet = (0..PORTS).collect();
        while now < SECOND {
            match pace.next(all, now) {
                Some(port) => {
                    now += ticks[port];
                    used[port] += ticks[port];
                    pace.charge_turn(port, ticks[port], now);
                }
                None => now = pace.next_at(all).unwrap().max(now + 1),
            }
        }
        used.map(|used| used as f64 / SECOND as f64)
    }

    #[test]
    fn a_port_gets_a_third_and_all_less_than_the_budget() {
        let [one] = share([50_000]);
        assert!((0.30..0.34).contains(&one), "{one}");
        let all = share([50_000; 28]);
        assert!((0.38..0.405).contains(&all.iter().sum()), "{all:?}");
        let [least, most] = [f64::min, f64::max].map(|of| all.into_iter().reduce(of).unwrap());
        assert!(most - least < 0.001, "all get the same: {all:?}");
    }

    #[test]
    fn turns_that_are_counted_together_count_as_much() {
        // Each of the first is below what is counted at once, each of the second above it.
        for (short, long) in [(10_000, 20_000), (500, 30_000)] {
            let with_wakes =
                |ticks: u64| share([ticks; 28]).iter().sum::<f64>() * (ticks + 1000) as f64 / ticks as f64;
            let (short, long) = (with_wakes(short), with_wakes(long));
            assert!((0.38..0.46).contains(&short) && (short - long).abs() < 0.045, "{short} {long}");
        }
    }

    #[test]
    fn short_turns_pay_for_waking_the_switch() {
        let [one] = share([100]);
        assert!(one < 0.034, "{one}, with ten times as much for waking");
    }

    #[test]
    fn a_port_that_needs_little_gets_it_beside_those_that_want_all() {
        // The honest port sends one frame each 100 µs.
        let (mut pace, mut now, mut due, mut latest) = (Pace::new(&[], HERTZ), 0, 0, 0);
        let hostile: PortSet = (1..4).collect();
        while now < SECOND {
            let ports = if due <= now { hostile | PortSet::of(0) } else { hostile };
            match pace.next(ports, now) {
                Some(port) => {
                    let ticks = if port == 0 { 500 } else { 20_000 };
                    now += ticks;
                    pace.charge_turn(port, ticks, now);
                    if port == 0 {
                        latest = latest.max(now - due);
                        due = now + 100_000;
                    }
                }
                None => now = pace.next_at(ports).unwrap().max(now + 1),
            }
        }
        assert!(latest < 200_000, "it had its turn after {latest} ns at most");
    }

    #[test]
    fn in_no_period_do_the_turns_use_up_the_default_budget() {
        let (mut pace, mut now, mut turns) = (Pace::new(&[], HERTZ), 0, vec![]);
        let all: PortSet = (0..28).collect();
        while now < SECOND / 10 {
            match pace.next(all, now) {
                Some(port) => {
                    turns.push((now, now + 180_000));
                    now += 180_000;
                    pace.charge_turn(port, 180_000, now);
                }
                None => now = pace.next_at(all).unwrap(),
            }
        }
        for (start, _) in &turns {
            let end = start + SECOND / 100;
            let used: u64 = turns
                .iter()
                .filter(|turn| turn.0 >= *start && turn.0 < end)
                .map(|turn| turn.1.min(end) - turn.0)
                .sum();
            assert!(used < 5_800_000, "{used} ns of the 10 ms from {start} on");
        }
    }

    #[test]
    fn a_port_over_its_rate_waits_and_nobody_else() {
        let limited = PortSettings { rate_bytes: 1_000_000, burst_bytes: 1000, ..PortSettings::default() };
        let mut pace = Pace::new(&[limited, PortSettings::default()], HERTZ);
        let sent = (1..100).take_while(|_| pace.charge_frame(0, 500, 0)).count();
        assert_eq!(sent, 2, "and a third one, for which it waits");
        let both: PortSet = (0..2).collect();
        assert_eq!((pace.next(both, 1), pace.next(PortSet::of(0), 1)), (Some(1), None));
        assert_eq!((pace.next_at(both), pace.next_at(PortSet::of(0))), (Some(0), Some(500_000)));
        assert_eq!((pace.next(PortSet::of(0), 500_000), pace.next_at(PortSet::EMPTY)), (Some(0), None));
        assert!((0..1000).all(|_| pace.charge_frame(1, 1 << 20, 1)), "this one has no limit");
    }

    #[test]
    fn nothing_counts_less_than_the_shortest_frame() {
        let limited = PortSettings { rate_bytes: 1_000_000, burst_bytes: 640, ..PortSettings::default() };
        let mut pace = Pace::new(&[limited], HERTZ);
        assert_eq!((0..100).take_while(|_| pace.charge_frame(0, 0, 0)).count(), 10);
    }

    #[test]
    fn a_turn_during_which_others_ran_counts_a_burst_at_most() {
        let mut pace = Pace::new(&[], HERTZ);
        assert!(pace.charge_turn(0, 500_000_000, SECOND));
        assert!(!pace.charge_turn(0, 500_000_000, SECOND));
        assert_eq!(pace.next_at(PortSet::of(0)), Some(SECOND + 3_000_000));
    }
}
