//! How a text is read.

#![no_std]
#![forbid(unsafe_code)]

pub use cloison_ipc::Failure;

cloison_ipc::interface! {
    /// The gate `reading`.
    pub mod reading {
        /// Why the reader refuses.
        refuse Refusal {
            /// Nothing was granted.
            NothingLent = "the reader cannot map what it was lent",
            /// The text is longer than the memory, or than this client's texts may be.
            TooLong = "the text is too long",
        }
        /// Counts the words of the text at the start of the memory that the client has granted.
        count: Count { bytes: u16 } -> Counted { words: u16 };
    }
}
