//! The table of acts: the property that each defends, and what is done.

mod instructions;
mod memory;
mod running;
mod switch;
mod time;

use crate::world::{Found, World};

pub(crate) struct Act {
    /// The property that it attacks, as a sentence that must stay true.
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut World) -> Found,
}

/// Every act. Those about time come first: what wakes the prober does so once.
pub(crate) fn all() -> impl Iterator<Item = &'static Act> {
    time::ACTS.iter().chain(running::ACTS).chain(switch::ACTS).chain(instructions::ACTS).chain(memory::ACTS)
}

const fn act(name: &'static str, run: fn(&mut World) -> Found) -> Act {
    Act { name, run }
}
