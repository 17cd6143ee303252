//! Who wants the CPU, by priority, and whose turn it is at each.

use cloison_abi::limits::PRIORITIES;

use crate::{TABLE_ENTRIES, ThreadId, ThreadSet};

/// The threads whose claims want the CPU: a set for each priority. Within one the turn goes round in the order
/// of the threads' indices, so that nobody is passed over, and every operation takes the same few steps.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Bit p: somebody wants the CPU at priority p.
    occupied: u32,
    sets: [ThreadSet; PRIORITIES],
    /// The index from which on the first of a set has the turn.
    turn: [u8; PRIORITIES],
}

const _: () = assert!(PRIORITIES == 32, "one bit of `occupied` for each priority");

impl Ready {
    /// Nobody.
    pub const EMPTY: Self = Self { occupied: 0, sets: [0; PRIORITIES], turn: [0; PRIORITIES] };

    /// Adds a thread.
    #[inline(always)]
    pub fn insert(&mut self, id: ThreadId, priority: u8) {
        self.sets[place(priority)] |= id.bit();
        self.occupied |= 1 << place(priority);
    }

    /// Takes a thread out, if it is there.
    #[inline(always)]
    pub fn remove(&mut self, id: ThreadId, priority: u8) {
        let set = &mut self.sets[place(priority)];
        *set &= !id.bit();
        if *set == 0 {
            self.occupied &= !(1 << place(priority));
        }
    }

    /// Whether a thread is there.
    #[must_use]
    #[inline(always)]
    pub fn contains(&self, id: ThreadId, priority: u8) -> bool {
        self.sets[place(priority)] & id.bit() != 0
    }

    /// Whether several threads want the CPU at this priority.
    #[must_use]
    #[inline(always)]
    pub fn is_shared(&self, priority: u8) -> bool {
        let set = self.sets[place(priority)];
        set & set.wrapping_sub(1) != 0
    }

    /// The thread whose turn it is at the highest priority at which somebody wants the CPU. It keeps the turn
    /// until [`Ready::pass_on`], or until it wants the CPU no more.
    #[inline(always)]
    pub fn first(&mut self) -> Option<ThreadId> {
        let place = self.occupied.checked_ilog2()? as usize % PRIORITIES;
        let from = u32::from(self.turn[place]);
        let index = (self.sets[place].rotate_right(from).trailing_zeros() + from) as usize % TABLE_ENTRIES;
        self.turn[place] = index as u8;
        ThreadId::new(index)
    }

    /// Gives a thread the turn of its priority.
    #[inline(always)]
    pub fn give_turn(&mut self, id: ThreadId, priority: u8) {
        self.turn[place(priority)] = id.index() as u8;
    }

    /// The turn of a thread is over: the next one of its priority has it.
    pub fn pass_on(&mut self, id: ThreadId, priority: u8) {
        self.turn[place(priority)] = ((id.index() + 1) % TABLE_ENTRIES) as u8;
    }
}

fn place(priority: u8) -> usize {
    usize::from(priority) % PRIORITIES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::{collections::BTreeSet, vec::Vec};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(ThreadId, u8),
        Remove(ThreadId, u8),
        PassOn,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let thread = (1..TABLE_ENTRIES).prop_map(|index| ThreadId::new(index).unwrap());
        let priority = 28..PRIORITIES as u8;
        let one = prop_oneof![
            3 => (thread.clone(), priority.clone()).prop_map(|(id, priority)| Step::Insert(id, priority)),
            2 => (thread, priority).prop_map(|(id, priority)| Step::Remove(id, priority)),
            2 => Just(Step::PassOn),
        ];
        prop::collection::vec(one, 0..200)
    }

    /// The first at or after an index, going round.
    fn going_round(set: &BTreeSet<ThreadId>, from: usize) -> Option<ThreadId> {
        set.iter().find(|id| id.index() >= from).or(set.first()).copied()
    }

    proptest! {
        /// The sets behave as one ordered set and a place in it for each priority would.
        #[test]
        fn the_turn_goes_round(steps in steps()) {
            let mut ready = Ready::EMPTY;
            let mut model: Vec<(BTreeSet<ThreadId>, usize)> = std::vec![(BTreeSet::new(), 0); PRIORITIES];
            for step in steps {
                match step {
                    Step::Insert(id, priority) => {
                        ready.insert(id, priority);
                        model[usize::from(priority)].0.insert(id);
                    }
                    Step::Remove(id, priority) => {
                        ready.remove(id, priority);
                        model[usize::from(priority)].0.remove(&id);
                    }
                    Step::PassOn => {
                        let Some(first) = ready.first() else { continue };
                        let highest = model.iter().rposition(|(set, _)| !set.is_empty()).unwrap();
                        ready.pass_on(first, highest as u8);
                        model[highest].1 = first.index() + 1;
                    }
                }
                let highest = model.iter().rposition(|(set, _)| !set.is_empty());
                let expected = highest.and_then(|at| going_round(&model[at].0, model[at].1));
                prop_assert_eq!(ready.first(), expected);
                if let (Some(at), Some(first)) = (highest, expected) {
                    model[at].1 = first.index();
                }
                for (priority, (set, _)) in model.iter().enumerate() {
                    prop_assert_eq!(ready.is_shared(priority as u8), set.len() > 1);
                    for id in ThreadId::all() {
                        prop_assert_eq!(ready.contains(id, priority as u8), set.contains(&id));
                    }
                }
            }
        }
    }
}
