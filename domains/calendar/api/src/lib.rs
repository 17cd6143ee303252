//! How a domain asks for the date and the time.

#![no_std]
#![forbid(unsafe_code)]

pub use cloison_ipc::Failure;

cloison_ipc::interface! {
    /// The gate `calendar`.
    pub mod calendar {
        /// Why there is no answer.
        refuse Refusal {
            /// The clock is missing, or shows what no clock shows.
            NoClock = "the machine has no clock that shows a date",
        }
        /// What the clock shows, in seconds since 1970 began (UTC), and the time-stamp counter when it was read.
        now: Now {} -> Moment { seconds: u64, ticks: u64 };
    }
}
