//! How memory is lent.

#![no_std]
#![forbid(unsafe_code)]

pub use cloison_ipc::Failure;

cloison_ipc::interface! {
    /// The gate `loan`.
    pub mod loan {
        /// Why the borrower refuses.
        refuse Refusal {
            /// The kernel does not let it see the memory.
            CannotMap = "the borrower cannot map what it was granted",
        }
        /// Says in which slot the grant has arrived. The borrower looks at the first word; it also says
        /// whether the kernel let it see the memory for writing.
        lend: Lend { slot: u8 } -> Lent { word: u64, is_writable: bool };
        /// Has the borrower look once more, at what may not be there any more.
        look: Look {} -> Looked { word: u64 };
    }
}
