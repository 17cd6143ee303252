//! What a hypercall answers when it refuses.

/// An error number of Linux, which the guest gets as its negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Errno {
    /// The operation is not permitted.
    NotPermitted = 1,
    /// There is no such thing.
    NotFound = 2,
    /// There is no such domain.
    NoDomain = 3,
    /// There is no memory for it.
    NoMemory = 12,
    /// An address of the guest leads nowhere.
    BadAddress = 14,
    /// There is one already.
    Exists = 17,
    /// An argument means nothing.
    Invalid = 22,
    /// There is no room for it.
    NoSpace = 28,
    /// The call is not offered.
    NotOffered = 38,
    /// The time has passed.
    TimePassed = 62,
}

impl Errno {
    /// What the guest finds in `rax`.
    #[must_use]
    pub fn answer(self) -> u64 {
        (self as u64).wrapping_neg()
    }
}
