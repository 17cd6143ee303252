//! How a domain asks a virtual switch for its ports and for what they have counted: the interface of the gate
//! `counters`, and a client that goes through all of it; and that of the gate `control`, by which a monitor closes ways.
//!
//! ```no_run
//! for report in ore_api::reports(&ore_api::counters::Client::find("counters")?)? {
//!     let _line = format!("{}", report?);
//! }
//! # Ok::<(), ore_api::CountersError>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

mod report;
#[cfg(test)]
mod tests;

use cloison_abi::Name;
use cloison_ipc::Failure;

pub use ore_switch::{Cause, Counters, Mac};
pub use report::{Report, reports};

/// Why the switch did not answer.
pub type CountersError = Failure<counters::Refusal>;

cloison_ipc::interface! {
    /// What a monitor closes, beside what the manifest does. A switch with such a client carries no frame until it is told to,
    /// in each of its lives; it signals its client when one begins.
    pub mod control {
        /// Why the switch refuses.
        refuse Refusal {
            /// The manifest gives no port to one of them.
            NoPort = "the switch has no port of this domain",
        }
        /// Keeps the frames of one domain from another one.
        close: Close { from: Name, to: Name } -> Closed {};
        /// Lets those pass again that the manifest lets pass.
        give_back: GiveBack { from: Name, to: Name } -> GivenBack {};
        /// All has been said: frames pass.
        open: Open {} -> Opened {};
    }
}

cloison_ipc::interface! {
    /// The ports of a switch, and what they have counted.
    pub mod counters {
        /// Why the switch refuses.
        refuse Refusal {
            /// There is none of this number.
            NoPort = "the switch has no port of this number",
            /// There is none of this number.
            NoCause = "the switch knows no cause of this number",
        }
        /// How many ports there are. They are numbered from 0.
        ports: Ports {} -> PortCount { ports: u8 };
        /// What the manifest says of a port, and whether the domain there is cut off.
        facts: Facts { port: u8 } -> PortFacts {
            name: Name,
            mac: [u8; 6],
            address: [u8; 4],
            vlan: u16,
            flags: u8,
            cut_off: bool,
        };
        /// What went through a port, seen from the switch.
        traffic: Traffic { port: u8 } -> PortTraffic {
            frames_in: u64,
            bytes_in: u64,
            frames_out: u64,
            bytes_out: u64,
        };
        /// How many frames were dropped at a port for a cause, by the number of the cause.
        dropped: Dropped { port: u8, cause: u8 } -> PortDropped { frames: u64 };
    }
}
