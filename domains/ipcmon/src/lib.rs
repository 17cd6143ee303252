//! The monitor: the policy of the manifest, its walls, what was withdrawn by hand, and what was decided so far.
//!
//! | module | what it does |
//! |---|---|
//! | `engine` | decides. No calls: what it is asked comes in as values, what follows goes out as values |
//! | `told` | says to a person what was decided |
//! | `chain` | the log |
//! | `state` | what another life has to know |
//! | `switches` | tells switches what is withdrawn |
//! | `admission` | lets each client to what its option in the manifest is for |
//! | `program` | connects all that to the kernel and to the clients |

#![no_std]
#![forbid(unsafe_code)]

mod admission;
mod chain;
mod engine;
mod program;
mod state;
mod switches;
#[cfg(test)]
mod tests;
mod told;

pub use chain::Chain;
pub use engine::{Answer, Engine, NotLoaded};
pub use program::{Monitor, Unfit};
pub use state::{Copy, Damaged, MAX_WITHDRAWN, Numbered, State, newer};
pub use told::{Denial, Reason, Restored};
