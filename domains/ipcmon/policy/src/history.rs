//! What each domain can have learned, and of whom.
//!
//! A wall is between types of domains: nobody may learn of more than one of them. Since whatever is learned can be passed on
//! for as long as a channel is open, what counts is not whom a domain has talked to, but whom everyone could have talked to
//! with whom it is connected. A domain that keeps its clients apart has two memories: what it got from its clients goes to
//! none of them, what it got from others goes to all.

use cloison_abi::{access::Class, limits::MAX_DOMAINS, policy::PolicyWall};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Domains;

/// Domains, as bits by their indices.
type Set = u32;
/// Types, as bits by their numbers.
type Kinds = u16;

/// Indices that domains can have.
const INDICES: usize = MAX_DOMAINS + 1;

const _: () = assert!(INDICES <= Set::BITS as usize, "each domain has a bit");

/// What each domain can have learned since the system started, and which channels are open.
///
/// Nothing is forgotten, even if a domain begins another life: memory that it shares with others outlives it.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct History {
    /// Types of which a domain knows; without what its clients told it, if it keeps them apart.
    knows: [Kinds; INDICES],
    /// Types of which a domain that keeps its clients apart knows by them.
    heard: [Kinds; INDICES],
    /// What is open.
    open: Channels,
}

/// Whom each domain may call, signal, share memory with, start.
type Channels = [[Set; INDICES]; FLOWS];

/// Classes by which something flows.
const FLOWS: usize = 4;

/// A channel between two domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Index of who does something.
    pub subject: u8,
    /// Index of the domain to which it is done.
    pub object: u8,
    /// What is done.
    pub class: Class,
}

/// Where two types would meet that a wall keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The wall's place among those of its policy.
    pub wall: usize,
    /// Index of the domain that would learn of both.
    pub at: u8,
    /// The type of which it knows already.
    pub known: u8,
    /// The type of which it would learn.
    pub learned: u8,
}

impl History {
    /// Nobody has done anything that needs to be allowed.
    #[must_use]
    pub fn new(domains: Domains<'_>) -> Self {
        let mut history = Self { knows: [0; INDICES], heard: [0; INDICES], open: [[0; INDICES]; FLOWS] };
        for (index, _) in domains.all() {
            history.knows[usize::from(index)] = domains.kind(index).map_or(0, |kind| 1 << kind);
        }
        history.spread(domains);
        history
    }

    /// Opens a channel, unless types would meet that one of these walls keeps apart: then nothing changes.
    ///
    /// # Errors
    /// Where they would meet: at the subject, if it is one of the places.
    pub fn open(&mut self, domains: Domains<'_>, walls: &[PolicyWall], flow: Flow) -> Result<(), Meeting> {
        let mut after = self.clone();
        if !after.connect(flow) {
            return Ok(());
        }
        after.spread(domains);
        let others = (0..INDICES as u8).filter(|index| ![flow.subject, flow.object].contains(index));
        let mut places = [flow.subject, flow.object].into_iter().chain(others);
        let meeting = self.late(domains, walls, flow);
        match meeting.or_else(|| places.find_map(|at| self.meeting(&after, walls, at))) {
            Some(meeting) => Err(meeting),
            None => {
                *self = after;
                Ok(())
            }
        }
    }

    /// Closes a channel: what is learned from now on does not pass it. Memory can be given back with all that is in it then,
    /// so that counts as open.
    pub fn close(&mut self, flow: Flow) {
        if let Some((open, object)) = self.place(flow).filter(|_| flow.class != Class::Share) {
            *open &= !object;
        }
    }

    /// Every channel that has been opened and not closed.
    pub fn flows(&self) -> impl Iterator<Item = Flow> + use<> {
        let (open, all) = (self.open, 0..INDICES as u8);
        let pairs = all.clone().flat_map(move |subject| all.clone().map(move |object| (subject, object)));
        let flows = pairs.flat_map(|(subject, object)| {
            Class::ALL.into_iter().take(FLOWS).map(move |class| Flow { subject, object, class })
        });
        flows.filter(move |flow| has(&open, *flow))
    }

    /// Whether a channel is open.
    #[must_use]
    pub fn is_open(&self, flow: Flow) -> bool {
        has(&self.open, flow)
    }

    /// Whether a domain knows of more than one of the types that a wall keeps apart.
    #[must_use]
    pub fn breaks(&self, index: u8, wall: &PolicyWall) -> bool {
        self.known(index, wall).count_ones() > 1
    }

    /// The types behind a wall of which a domain knows.
    fn known(&self, index: u8, wall: &PolicyWall) -> Kinds {
        self.knows.get(usize::from(index)).map_or(0, |knows| knows & wall.between as Kinds)
    }

    /// Whether a domain that knows of two sides already is to deal with one of them: it did before there was this wall.
    fn late(&self, domains: Domains<'_>, walls: &[PolicyWall], flow: Flow) -> Option<Meeting> {
        let ends = [flow.subject, flow.object];
        walls.iter().enumerate().find_map(|(place, wall)| {
            let is_side = |end: &u8| domains.kind(*end).is_some_and(|kind| wall.between >> kind & 1 != 0);
            let at = ends.into_iter().find(|end| self.breaks(*end, wall))?;
            let known = self.known(at, wall);
            let second = (known & (known - 1)).trailing_zeros() as u8;
            let first = known.trailing_zeros() as u8;
            ends.iter().any(is_side).then_some(Meeting { wall: place, at, known: first, learned: second })
        })
    }

    /// Whether types meet in a domain that did not before.
    fn meeting(&self, after: &Self, walls: &[PolicyWall], at: u8) -> Option<Meeting> {
        walls.iter().enumerate().find_map(|(place, wall)| {
            let (before, now) = (self.known(at, wall), after.known(at, wall));
            // If it knows of none yet, of the two that it would learn of the first counts as known.
            let known = if before == 0 { now & now.wrapping_neg() } else { before };
            let (first, second) = (known.trailing_zeros() as u8, (now & !known).trailing_zeros() as u8);
            let meet = now != before && now.count_ones() > 1;
            meet.then_some(Meeting { wall: place, at, known: first, learned: second })
        })
    }

    /// Whether the channel was not open.
    fn connect(&mut self, flow: Flow) -> bool {
        let Some((open, object)) = self.place(flow) else { return false };
        let before = *open;
        *open |= object;
        *open != before
    }

    fn place(&mut self, flow: Flow) -> Option<(&mut Set, Set)> {
        let object = 1_u32.checked_shl(flow.object.into())?;
        let open = self.open.get_mut(flow.class as usize)?.get_mut(usize::from(flow.subject))?;
        Some((open, object))
    }

    /// Lets everything flow that can.
    fn spread(&mut self, domains: Domains<'_>) {
        loop {
            let mut changed = false;
            for (from, domain) in domains.all() {
                let to = self.reaches(from) | domain.tells;
                let objects = domains.all().filter(|(object, _)| to >> object & 1 != 0);
                for (object, listener) in objects {
                    changed |= self.tell((from, domain.apart), (object, listener.apart));
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// To whom something flows by the channels that are open: an answer flows back.
    fn reaches(&self, from: u8) -> Set {
        let [calls, signals, shares, starts] = &self.open;
        let own = usize::from(from);
        let there = calls[own] | signals[own] | shares[own] | starts[own];
        let back = |table: &[Set; INDICES]| {
            let callers = (0..INDICES).filter(|caller| table[*caller] >> own & 1 != 0);
            callers.fold(0, |all: Set, caller| all | 1 << caller)
        };
        there | back(calls) | back(shares)
    }

    /// One domain tells another what it can. Returns whether that was news.
    fn tell(&mut self, (from, apart): (u8, Set), (to, others): (u8, Set)) -> bool {
        let [source, target] = [from, to].map(usize::from);
        let is_to_client = apart >> to & 1 != 0;
        let told = self.knows[source] | if is_to_client { 0 } else { self.heard[source] };
        let is_from_client = others >> from & 1 != 0;
        let memory = if is_from_client { &mut self.heard[target] } else { &mut self.knows[target] };
        let before = *memory;
        *memory |= told;
        *memory != before
    }
}

fn has(open: &Channels, flow: Flow) -> bool {
    let objects = open.get(flow.class as usize).and_then(|row| row.get(usize::from(flow.subject)));
    objects.and_then(|objects| objects.checked_shr(flow.object.into())).is_some_and(|rest| rest & 1 != 0)
}
