//! The ready queues: who waits for the CPU, by priority, in order of arrival.

use cloison_abi::limits::PRIORITIES;

use crate::{DomainId, TABLE_ENTRIES};

/// One queue of domains for each priority, linked through one table, so that nothing is allocated and every
/// operation takes the same few steps.
#[derive(Clone, Debug)]
pub struct ReadyQueues {
    /// Bit p: the queue of priority p is not empty.
    occupied: u32,
    heads: [Option<DomainId>; PRIORITIES],
    tails: [Option<DomainId>; PRIORITIES],
    next: [Option<DomainId>; TABLE_ENTRIES],
}

const _: () = assert!(PRIORITIES == 32, "one bit of `occupied` for each priority");

impl ReadyQueues {
    /// Queues with nobody in them.
    pub const EMPTY: Self = Self {
        occupied: 0,
        heads: [None; PRIORITIES],
        tails: [None; PRIORITIES],
        next: [None; TABLE_ENTRIES],
    };

    /// The highest priority at which somebody waits.
    #[must_use]
    #[inline(always)]
    pub fn highest(&self) -> Option<u8> {
        self.occupied.checked_ilog2().map(|priority| priority as u8)
    }

    /// Whether somebody waits at a higher priority than this.
    #[must_use]
    #[inline(always)]
    pub fn waits_above(&self, priority: u8) -> bool {
        // In two steps: above the highest priority there is nothing to shift by.
        self.occupied >> index(priority) >> 1 != 0
    }

    /// Whether somebody waits at this priority.
    #[must_use]
    pub fn waits_at(&self, priority: u8) -> bool {
        self.occupied & 1 << index(priority) != 0
    }

    /// Adds a domain at the end of its queue.
    pub fn push_back(&mut self, id: DomainId, priority: u8) {
        let queue = index(priority);
        self.next[id.index()] = None;
        match self.tails[queue] {
            Some(last) => self.next[last.index()] = Some(id),
            None => self.heads[queue] = Some(id),
        }
        self.tails[queue] = Some(id);
        self.occupied |= 1 << queue;
    }

    /// Adds a domain at the front of its queue: it was interrupted, its turn goes on later.
    #[inline(always)]
    pub fn push_front(&mut self, id: DomainId, priority: u8) {
        let queue = index(priority);
        self.next[id.index()] = self.heads[queue];
        if self.heads[queue].is_none() {
            self.tails[queue] = Some(id);
        }
        self.heads[queue] = Some(id);
        self.occupied |= 1 << queue;
    }

    /// Takes the first domain of the highest priority.
    #[inline]
    pub fn pop(&mut self) -> Option<DomainId> {
        let queue = index(self.highest()?);
        let id = self.heads[queue]?;
        self.heads[queue] = self.next[id.index()];
        if self.heads[queue].is_none() {
            self.tails[queue] = None;
            self.occupied &= !(1 << queue);
        }
        Some(id)
    }

    /// Takes a domain out, wherever it is in the queue of this priority. At most as many steps as there are
    /// domains.
    pub fn remove(&mut self, id: DomainId, priority: u8) {
        let queue = index(priority);
        let mut previous = None;
        let mut at = self.heads[queue];
        while let Some(current) = at {
            let after = self.next[current.index()];
            if current == id {
                match previous {
                    None => self.heads[queue] = after,
                    Some(previous) => self.next[DomainId::index(previous)] = after,
                }
                if after.is_none() {
                    self.tails[queue] = previous;
                }
                break;
            }
            previous = Some(current);
            at = after;
        }
        if self.heads[queue].is_none() {
            self.occupied &= !(1 << queue);
        }
    }
}

fn index(priority: u8) -> usize {
    usize::from(priority) % PRIORITIES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::{collections::VecDeque, vec::Vec};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Back(u8, u8),
        Front(u8, u8),
        Pop,
        Remove(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let domain = 1..TABLE_ENTRIES as u8;
        let priority = 0..PRIORITIES as u8;
        prop::collection::vec(
            prop_oneof![
                (domain.clone(), priority.clone()).prop_map(|(d, p)| Step::Back(d, p)),
                (domain.clone(), priority).prop_map(|(d, p)| Step::Front(d, p)),
                Just(Step::Pop),
                domain.prop_map(Step::Remove),
            ],
            0..200,
        )
    }

    proptest! {
        /// The queues behave as one list for each priority would.
        #[test]
        fn like_a_list_of_queues(steps in steps()) {
            let mut queues = ReadyQueues::EMPTY;
            let mut model: Vec<VecDeque<DomainId>> = (0..PRIORITIES).map(|_| VecDeque::new()).collect();
            for step in steps {
                match step {
                    Step::Back(d, p) | Step::Front(d, p) => {
                        let id = DomainId::new(d.into()).unwrap();
                        if model.iter().any(|queue| queue.contains(&id)) {
                            continue;
                        }
                        if matches!(step, Step::Back(..)) {
                            queues.push_back(id, p);
                            model[usize::from(p)].push_back(id);
                        } else {
                            queues.push_front(id, p);
                            model[usize::from(p)].push_front(id);
                        }
                    }
                    Step::Pop => {
                        let expected = model.iter_mut().rev().find_map(VecDeque::pop_front);
                        prop_assert_eq!(queues.pop(), expected);
                    }
                    Step::Remove(d) => {
                        let id = DomainId::new(d.into()).unwrap();
                        let Some(p) = model.iter().position(|queue| queue.contains(&id)) else { continue };
                        queues.remove(id, p as u8);
                        model[p].retain(|other| *other != id);
                    }
                }
                let highest = model.iter().rposition(|queue| !queue.is_empty());
                prop_assert_eq!(queues.highest().map(usize::from), highest);
                for priority in 0..PRIORITIES {
                    let above = highest.is_some_and(|highest| highest > priority);
                    prop_assert_eq!(queues.waits_above(priority as u8), above);
                }
            }
        }
    }
}
