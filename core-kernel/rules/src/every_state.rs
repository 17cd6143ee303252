//! Every state that a system can get into, by every order of its steps: what a property test draws from at random, this
//! walks through as a whole. For systems of a few parts, whose states are some hundred thousand.

use std::{collections::HashSet, vec::Vec};

/// A system whose states can be told apart, and put back.
pub trait Explorable {
    /// What can be done to it.
    type Step: Copy;
    /// A state, in as few bytes as it can be restored from.
    type State;

    /// Its state now.
    fn state(&self) -> Self::State;

    /// All of a state that matters, as bytes: two states with the same key have the same future.
    fn key(state: &Self::State) -> Vec<u8>;

    /// Puts it into a state.
    fn restore(&mut self, state: &Self::State);

    /// Does a step, if it can be done.
    fn act(&mut self, step: Self::Step);

    /// Panics if its state breaks a promise.
    fn check(&self);
}

/// Does each of the steps in each state that they lead to, and checks every state once. Returns how many there are.
pub fn explore<S: Explorable>(system: &mut S, steps: &[S::Step]) -> usize {
    let first = system.state();
    let mut seen = HashSet::from([S::key(&first)]);
    let mut open = Vec::from([first]);
    while let Some(state) = open.pop() {
        for step in steps {
            system.restore(&state);
            system.act(*step);
            let next = system.state();
            if seen.insert(S::key(&next)) {
                system.check();
                open.push(next);
            }
        }
    }
    seen.len()
}
