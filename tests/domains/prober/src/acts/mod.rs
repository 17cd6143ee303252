//! The table of acts: the property that each defends, what is done, and how it must end.

mod calls;
mod instructions;
mod memory;

use cloison_abi::{CallError, FaultKind};

use crate::world::World;

pub(crate) struct Act {
    /// The property that it attacks, as a sentence that must stay true.
    pub(crate) name: &'static str,
    pub(crate) deed: Deed,
}

/// What is done, and how it must end.
#[derive(Clone, Copy)]
pub(crate) enum Deed {
    /// Reads there. Must fault, at that address.
    Read(fn(&World) -> u64),
    /// Writes there. Must fault, at that address.
    Write(fn(&World) -> u64),
    /// Jumps there. Must fault, at that address.
    Jump(fn(&World) -> u64),
    /// Executes an instruction. Must fault in one of these ways; where there are several, CPUs differ.
    Instruction(&'static [FaultKind], fn()),
    /// Executes an instruction that has nothing to work on in an emulator. Must fault as forbidden. Nothing but the
    /// privilege level decides that (Intel SDM, volume 2, INVD and WBINVD), so where it comes back, the level tells whose
    /// fault it is: at 3 the emulator's, else the kernel's.
    Emulated(fn()),
    /// Asks the kernel for something. Must be refused with this error; the function returns the outcome.
    Refused(CallError, fn(&World) -> i32),
    /// Does something odd. Must not do harm: the function returns 0.
    Harmless(fn(&World) -> i32),
}

/// Every act.
pub(crate) fn all() -> impl Iterator<Item = &'static Act> {
    memory::ACTS.iter().chain(instructions::ACTS).chain(calls::ACTS)
}

const fn act(name: &'static str, deed: Deed) -> Act {
    Act { name, deed }
}
