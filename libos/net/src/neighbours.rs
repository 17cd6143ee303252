//! Who has which MAC address, by ARP (RFC 826), and what waits to be sent until that is known.
//!
//! Each address has a limit of its own: somebody who is not there costs nobody else an answer, whether this
//! domain looks for him or somebody else has it answer him.

use alloc::{
    collections::{TryReserveError, VecDeque},
    vec::Vec,
};
use core::net::Ipv4Addr;

use crate::{Micros, ethernet::Mac};

/// Addresses that are remembered.
const MAX_NEIGHBOURS: usize = 64;
/// How many of them may be such as nobody has answered for.
const MAX_ASKED: usize = 32;
/// How long an address is known after its owner was last heard.
const LIFETIME: Micros = 60_000_000;
/// How often somebody is asked for, and how long an answer may take. RFC 1122 (2.3.2.1) wants a second at
/// least.
const TRIES: u8 = 3;
const PATIENCE: Micros = 1_000_000;
/// Limits of what waits for answers: packets for one address, packets for all, and their bytes. The oldest give way.
const MAX_WAITING_FOR_ONE: usize = 64;
const MAX_WAITING: usize = 128;
const MAX_WAITING_BYTES: usize = 32 << 10;

pub(crate) struct Neighbours {
    neighbours: Vec<Neighbour>,
    /// Nobody has to be asked for once more before then. It is looked at in each turn.
    quiet_until: Micros,
    /// Where the last one was found: the next packet is likely to be for it too.
    recent: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

#[derive(Clone, Copy)]
struct Neighbour {
    address: Ipv4Addr,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Known { mac: Mac, until: Micros },
    Asked { times: u8, until: Micros },
}

struct Waiting {
    to: Ipv4Addr,
    packet: Vec<u8>,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self {
            neighbours: Vec::new(),
            quiet_until: Micros::MAX,
            recent: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }
}

impl Neighbours {
    /// The MAC address of a neighbour, if it is known.
    pub(crate) fn mac(&mut self, address: Ipv4Addr, now: Micros) -> Option<Mac> {
        match self.find(address)?.state {
            State::Known { mac, until } if now < until => Some(mac),
            _ => None,
        }
    }

    /// Keeps a packet until the address is known. True: it has to be asked for now.
    pub(crate) fn keep(&mut self, to: Ipv4Addr, packet: &[u8], now: Micros) -> bool {
        // A packet that finds no room is lost, as packets are.
        let _ = self.push_waiting(to, packet);
        let asked = Neighbour { address: to, state: State::Asked { times: 1, until: now + PATIENCE } };
        self.quiet_until = self.quiet_until.min(now + PATIENCE);
        match self.find(to) {
            Some(Neighbour { state: State::Asked { .. }, .. }) => false,
            Some(neighbour) => {
                *neighbour = asked;
                true
            }
            None => self.add(asked),
        }
    }

    /// Somebody has said that an address is his. What waited for it comes out. One who has not been asked takes
    /// nobody's place: he is asked for when there is something to send.
    pub(crate) fn learn(&mut self, address: Ipv4Addr, mac: Mac, now: Micros) -> Vec<Vec<u8>> {
        let state = State::Known { mac, until: now + LIFETIME };
        let is_full = self.neighbours.len() == MAX_NEIGHBOURS;
        match self.find(address) {
            Some(neighbour) => neighbour.state = state,
            None if is_full => {}
            None => drop(self.add(Neighbour { address, state })),
        }
        let mut packets = Vec::new();
        self.drop_waiting(address, |packet| packets.push(packet));
        packets
    }

    /// A packet has come from a neighbour.
    pub(crate) fn confirm(&mut self, address: Ipv4Addr, from: Mac, now: Micros) {
        if let Some(Neighbour { state: State::Known { mac, until }, .. }) = self.find(address)
            && *mac == from
        {
            *until = now + LIFETIME;
        }
    }

    /// Somebody who has to be asked for once more. Those that have been asked for in vain are given up, with
    /// what waits for them.
    pub(crate) fn overdue(&mut self, now: Micros) -> Option<Ipv4Addr> {
        if now < self.quiet_until {
            return None;
        }
        loop {
            let is_overdue =
                |one: &Neighbour| matches!(one.state, State::Asked { until, .. } if until <= now);
            let Some(place) = self.neighbours.iter().position(is_overdue) else {
                self.quiet_until = self.next_end();
                return None;
            };
            let Neighbour { address, state } = &mut self.neighbours[place];
            let address = *address;
            match state {
                State::Asked { times, until } if *times < TRIES => {
                    (*times, *until) = (*times + 1, now + PATIENCE);
                    return Some(address);
                }
                _ => {
                    self.neighbours.remove(place);
                    self.drop_waiting(address, drop);
                }
            }
        }
    }

    /// When [`Self::overdue`] wants to be asked.
    pub(crate) fn due(&self) -> Option<Micros> {
        Some(self.quiet_until).filter(|due| *due != Micros::MAX)
    }

    /// When the time of the first one ends that is asked for.
    fn next_end(&self) -> Micros {
        let asked = self.neighbours.iter().filter_map(|neighbour| match neighbour.state {
            State::Asked { until, .. } => Some(until),
            State::Known { .. } => None,
        });
        asked.min().unwrap_or(Micros::MAX)
    }

    /// The domain has another address: its neighbours may be others.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn find(&mut self, address: Ipv4Addr) -> Option<&mut Neighbour> {
        if self.neighbours.get(self.recent).is_none_or(|neighbour| neighbour.address != address) {
            self.recent = self.neighbours.iter().position(|neighbour| neighbour.address == address)?;
        }
        self.neighbours.get_mut(self.recent)
    }

    /// Adds a neighbour. If there are too many that nobody answers for, one of these gives way; else the one that
    /// was heard longest ago. False: there is no memory.
    fn add(&mut self, neighbour: Neighbour) -> bool {
        let asked = self.neighbours.iter().filter(|one| matches!(one.state, State::Asked { .. })).count();
        if asked == MAX_ASKED {
            self.give_up(|one| matches!(one.state, State::Asked { .. }));
        } else if self.neighbours.len() == MAX_NEIGHBOURS {
            self.give_up(|one| matches!(one.state, State::Known { .. }));
        }
        if self.neighbours.try_reserve(1).is_err() {
            return false;
        }
        self.neighbours.push(neighbour);
        true
    }

    /// Gives up the one among some whose time ends first.
    fn give_up(&mut self, among: impl Fn(&Neighbour) -> bool) {
        let candidates = self.neighbours.iter().enumerate().filter(|(_, one)| among(one));
        let first = candidates.min_by_key(|(_, one)| match one.state {
            State::Known { until, .. } | State::Asked { until, .. } => until,
        });
        if let Some((place, _)) = first {
            let Neighbour { address, .. } = self.neighbours.remove(place);
            self.drop_waiting(address, drop);
        }
    }

    fn push_waiting(&mut self, to: Ipv4Addr, packet: &[u8]) -> Result<(), TryReserveError> {
        let for_one = self.waiting.iter().filter(|waiting| waiting.to == to).count();
        if for_one == MAX_WAITING_FOR_ONE {
            let oldest = self.waiting.iter().position(|waiting| waiting.to == to);
            self.remove_waiting(oldest.unwrap_or(0));
        }
        while self.waiting.len() == MAX_WAITING
            || (!self.waiting.is_empty() && self.waiting_bytes + packet.len() > MAX_WAITING_BYTES)
        {
            self.remove_waiting(0);
        }
        let mut copy = Vec::new();
        copy.try_reserve_exact(packet.len())?;
        copy.extend_from_slice(packet);
        self.waiting.try_reserve(1)?;
        self.waiting_bytes += copy.len();
        self.waiting.push_back(Waiting { to, packet: copy });
        Ok(())
    }

    fn remove_waiting(&mut self, place: usize) -> Option<Vec<u8>> {
        let packet = self.waiting.remove(place)?.packet;
        self.waiting_bytes -= packet.len();
        Some(packet)
    }

    /// Takes out what waits for an address, the oldest first.
    fn drop_waiting(&mut self, to: Ipv4Addr, mut each: impl FnMut(Vec<u8>)) {
        let mut place = 0;
        while let Some(waiting) = self.waiting.get(place) {
            if waiting.to == to {
                self.remove_waiting(place).into_iter().for_each(&mut each);
            } else {
                place += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn host(number: u32) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0000 + number)
    }

    #[test]
    fn who_is_known_is_not_pushed_out_by_those_who_are_not() {
        let mut neighbours = Neighbours::default();
        for number in 0..32 {
            assert!(neighbours.learn(host(number), MAC, 0).is_empty());
        }
        for number in 100..1000 {
            assert!(neighbours.keep(host(number), &[0; 60], 1));
        }
        assert!((0..32).all(|number| neighbours.mac(host(number), 2).is_some()));
        assert_eq!(neighbours.neighbours.len(), 32 + MAX_ASKED);
    }

    #[test]
    fn who_says_an_address_unasked_takes_nobodys_place() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(host(1), MAC, 0);
        assert!(neighbours.keep(host(2), &[2; 60], 1));
        for number in 1000..2000 {
            neighbours.learn(host(number), MAC, number.into());
        }
        assert_eq!(neighbours.mac(host(1), 2000), Some(MAC));
        assert_eq!(neighbours.learn(host(2), MAC, 2000), [[2; 60]]);
    }

    /// However many are known: several can be asked for at a time.
    #[test]
    fn who_is_asked_for_does_not_push_out_another_one_of_those() {
        let mut neighbours = Neighbours::default();
        for number in 100..100 + MAX_NEIGHBOURS as u32 {
            neighbours.learn(host(number), MAC, number.into());
        }
        for number in 1..=MAX_ASKED as u32 {
            assert!(neighbours.keep(host(number), &[3; 60], 200));
        }
        assert_eq!(neighbours.neighbours.len(), MAX_NEIGHBOURS);
        for number in 1..=MAX_ASKED as u32 {
            assert_eq!(neighbours.learn(host(number), MAC, 300), [[3; 60]], "{number}");
        }
        let heard_last = 100 + MAX_NEIGHBOURS as u32 - 1;
        assert_eq!(neighbours.mac(host(heard_last), 300), Some(MAC));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_gives_way() {
        let mut neighbours = Neighbours::default();
        for number in 0..40_u8 {
            neighbours.keep(host(1), &[number; 1000], 0);
            neighbours.keep(host(2), &[number; 3000], 0);
            assert!(neighbours.waiting_bytes <= MAX_WAITING_BYTES);
        }
        neighbours.keep(host(3), &[7; MAX_WAITING_BYTES + 1], 0);
        assert_eq!(neighbours.learn(host(3), MAC, 0).len(), 1, "one alone always has room");
        neighbours.keep(host(1), &[9; 10], 0);
        assert_eq!(neighbours.learn(host(1), MAC, 0), [[9; 10]]);
        assert_eq!((neighbours.waiting.len(), neighbours.waiting_bytes), (0, 0));
    }

    #[test]
    fn somebody_is_asked_for_three_times_and_then_given_up() {
        let mut neighbours = Neighbours::default();
        assert!(neighbours.keep(host(1), &[1; 10], 0));
        assert!(!neighbours.keep(host(1), &[1; 10], 1));
        assert_eq!((neighbours.due(), neighbours.overdue(PATIENCE - 1)), (Some(PATIENCE), None));
        for round in 1..3 {
            assert_eq!(neighbours.overdue(round * PATIENCE), Some(host(1)));
            assert_eq!(neighbours.overdue(round * PATIENCE), None);
        }
        assert_eq!(neighbours.overdue(3 * PATIENCE), None);
        assert_eq!((neighbours.due(), neighbours.waiting.len()), (None, 0));
        assert!(neighbours.keep(host(1), &[1; 10], 3 * PATIENCE));
    }

    #[test]
    fn who_is_heard_stays_known_and_only_by_his_own_address() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(host(1), MAC, 0);
        neighbours.confirm(host(1), MAC, 10);
        neighbours.confirm(host(1), Mac([2; 6]), 20);
        assert_eq!(neighbours.mac(host(1), LIFETIME + 9), Some(MAC));
        assert_eq!(neighbours.mac(host(1), LIFETIME + 10), None);
        assert!(neighbours.keep(host(1), &[1; 10], LIFETIME + 10));
    }
}
