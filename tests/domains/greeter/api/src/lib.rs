//! What the greeter offers.

#![no_std]
#![forbid(unsafe_code)]

pub use cloison_ipc::Failure;

cloison_ipc::interface! {
    /// The gate `greeting`.
    pub mod greeting {
        /// Why the greeter refuses.
        refuse Refusal {
            /// No clock shows this hour.
            NoSuchHour = "a day has the hours 0 to 23",
        }
        /// Asks to be greeted as is usual at this hour. The reply says how many greetings there have been.
        greet: Greet { hour: u8 } -> Greeted { count: u32 };
    }
}
