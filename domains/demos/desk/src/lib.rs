//! A desk: what its clients ask, and how it answers.

#![no_std]
#![forbid(unsafe_code)]

use asking::{Answered, Refusal, Server};
use cloison_ipc::Badge;
pub use cloison_ipc::Failure;

/// Clients that a desk tells from each other.
pub const MAX_CLIENTS: usize = 32;

cloison_ipc::interface! {
    /// The gate `desk`.
    pub mod asking {
        /// Why the desk refuses.
        refuse Refusal {
            /// It has too many clients.
            Crowded = "the desk has too many clients",
        }
        /// Asks. Says how often this client has asked, and nothing of others.
        ask: Ask {} -> Answered { turn: u32 };
    }
}

/// Counts for each client apart.
#[derive(Debug, Default)]
pub struct Desk {
    turns: [u32; MAX_CLIENTS],
}

impl Server for Desk {
    fn ask(&mut self, client: Badge) -> Result<Answered, Refusal> {
        let place = usize::try_from(client.0).map_err(|_| Refusal::Crowded)?;
        let turn = self.turns.get_mut(place).ok_or(Refusal::Crowded)?;
        *turn = turn.saturating_add(1);
        Ok(Answered { turn: *turn })
    }
}
