//! How a domain's lives are compared, and how it is lent memory.

#![no_std]
#![forbid(unsafe_code)]

pub use cloison_ipc::Failure;

cloison_ipc::interface! {
    /// The gate `keep`, to the domain that compares.
    pub mod keep {
        /// Why the keeper refuses.
        refuse Refusal {
            /// The kernel does not let it see the memory.
            CannotMap = "the keeper cannot map what it was granted",
            /// The census has no domain by this name.
            Unknown = "the census does not name the client",
        }
        /// A life begins, with slots and memory of these digests and with these events. Says which life it is,
        /// and whether all is as it was in the first.
        begin: Begin { slots: u64, memory: u64, events: u64 } -> Begun { life: u32, is_first: bool };
        /// A grant has arrived in this slot. The keeper maps it, writes to it, and signals the lender.
        borrow: Borrow { slot: u8 } -> Borrowed { word: u64 };
    }
}

cloison_ipc::interface! {
    /// The gate `gift`, to the domain whose lives are compared.
    pub mod gift {
        /// Why the gift is refused.
        refuse Refusal {
            /// The kernel does not let it see the memory.
            CannotMap = "the gift cannot be mapped",
        }
        /// A grant has arrived in this slot.
        take: Take { slot: u8 } -> Taken { word: u64 };
    }
}

/// A digest that is not secure, and need not be: FNV-1a by words.
pub mod digest {
    /// The digest of nothing.
    pub const START: u64 = 0xcbf2_9ce4_8422_2325;

    /// The digest of what `digest` is that of, and one word more.
    #[must_use]
    pub fn add(digest: u64, word: u64) -> u64 {
        (digest ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    }
}
