//! Who looks on while a guest runs: a domain of the tests, or nobody.

use linux_core::guest::Guest;
use linux_core::machine::{Memory, Shown, Space};

/// What it is told.
pub trait Watch {
    /// The guest has come out.
    fn look(&mut self, _guest: &Guest, _memory: &impl Memory) {}

    /// Pages are shown from an address on, where it is not `None`.
    fn shown(&mut self, _space: Space, _at: u64, _pages: &[Option<Shown>]) {}

    /// Pages are shown no more.
    fn hidden(&mut self, _space: Space, _at: u64, _pages: u64) {}

    /// A space has ended, with all that its lower half has shown; the first one with all.
    fn ended(&mut self, _space: Space) {}
}

impl Watch for () {}
