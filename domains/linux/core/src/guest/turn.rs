//! What the place where a guest runs tells the core when the guest comes out, and what it is told to do next.

use core::fmt;

use crate::xenstore::Broken;

/// Why the guest came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It executed `syscall`.
    Call,
    /// It raised an exception.
    Trap {
        /// Which one.
        vector: u8,
        /// Its error code; 0 if it has none.
        code: u64,
        /// The address that a page fault is about.
        address: u64,
    },
    /// Not of its own accord: its deadline has passed, or an event came that something was done about.
    Pause,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The guest runs on, in the space and half that its page tables say, until the deadline at most: a value of the
    /// time-stamp counter.
    Go {
        /// When it has to come out.
        deadline: Option<u64>,
    },
    /// The guest waits for an event, until a value of the time-stamp counter at most.
    Wait {
        /// When it goes on by itself.
        until: Option<u64>,
    },
    /// The guest has ended itself.
    End(Shutdown),
    /// The guest cannot go on.
    Dead(Death),
}

/// Why a guest ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// It was switched off.
    PowerOff,
    /// It wants to begin again.
    Reboot,
    /// It wants to be saved.
    Suspend,
    /// It has panicked.
    Crash,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOff => "it is switched off",
            Self::Reboot => "it begins again",
            Self::Suspend => "it wants to be saved",
            Self::Crash => "its kernel has panicked",
        })
    }
}

/// Why a guest cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The frame of a trap could not be written to its kernel's stack.
    Stack {
        /// Where.
        at: u64,
        /// The trap; `None` for a system call or an event.
        vector: Option<u8>,
    },
    /// It has named no handler for a trap.
    NoHandler {
        /// The trap.
        vector: u8,
    },
    /// What it returns to could not be read from its kernel's stack.
    Return {
        /// Where.
        at: u64,
    },
    /// It returns to a user program, and has named no page table for it.
    NoUserRoot,
    /// There is no room for the page tables of a single address.
    NoRoom,
    /// It cannot use xenstore any more.
    Store(Broken),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stack { at, vector: Some(vector) } => {
                write!(f, "its stack at {at:#x} cannot take the frame of trap {vector}")
            }
            Self::Stack { at, vector: None } => write!(f, "its stack at {at:#x} cannot take a frame"),
            Self::NoHandler { vector } => write!(f, "it has no handler for trap {vector}"),
            Self::Return { at } => {
                write!(f, "it returns to what is at {at:#x}, and nothing can be read there")
            }
            Self::NoUserRoot => f.write_str("it returns to a user program without a page table"),
            Self::Store(broken) => broken.fmt(f),
            Self::NoRoom => f.write_str("its table pages do not suffice for one address"),
        }
    }
}
