//! The one place where a domain enters the kernel.
#![allow(unsafe_code, reason = "the system call instruction needs inline assembly")]

use core::arch::asm;

use cloison_abi::{
    Badge, CallError, CallNumber,
    call::{RECEIVED_EVENTS, RECEIVED_MESSAGE},
};

use crate::{Message, Received};

/// The registers that come back from a call.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) label: u32,
    pub(crate) words: [u64; 4],
    pub(crate) badge: u64,
}

impl Outcome {
    /// Whether the call was carried out.
    #[inline]
    pub(crate) fn done(&self) -> Result<(), CallError> {
        if self.status < 0 { Err(self.error()) } else { Ok(()) }
    }

    /// The answer of a gate call.
    #[inline]
    pub(crate) fn message(self) -> Result<Message, CallError> {
        self.done().map(|()| Message { label: self.label, words: self.words })
    }

    /// What a domain that waits for messages has received. `None` if the call was refused.
    #[inline]
    pub(crate) fn received(self) -> Option<Received> {
        const TIMED_OUT: i32 = CallError::TimedOut as i32;
        match self.status {
            RECEIVED_EVENTS => Some(Received::Events(self.words[0])),
            RECEIVED_MESSAGE => Some(Received::Message {
                badge: Badge(self.badge as u32),
                message: Message { label: self.label, words: self.words },
            }),
            TIMED_OUT => Some(Received::TimedOut),
            _ => None,
        }
    }

    /// A number that this version does not know is an error all the same.
    #[cold]
    fn error(&self) -> CallError {
        CallError::from_number(self.status).unwrap_or(CallError::UnknownCall)
    }
}

/// Makes a call.
#[inline(always)]
pub(crate) fn enter(call: CallNumber, slot: u8, label: u32, arguments: [u64; 6]) -> Outcome {
    enter_raw(call as u64 | u64::from(slot) << 8 | u64::from(label) << 32, arguments)
}

/// Makes a call whose first register is given as it is.
#[inline(always)]
pub(crate) fn enter_raw(rax: u64, [a0, a1, a2, a3, a4, a5]: [u64; 6]) -> Outcome {
    let (status, r0, r1, r2, r3, badge): (u64, u64, u64, u64, u64, u64);
    // SAFETY: the kernel reads and writes no memory of the caller; the registers that it changes are the ones
    // of the table in `cloison_abi::call`, all named here or by `clobber_abi`. What a call can do to memory
    // (unmap it) is guarded by the `unsafe` of the functions that make those calls.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax => status,
            inlateout("rdi") a0 => r0,
            inlateout("rsi") a1 => r1,
            inlateout("rdx") a2 => r2,
            inlateout("r10") a3 => r3,
            inlateout("r8") a4 => badge,
            in("r9") a5,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
    Outcome { status: status as i32, label: (status >> 32) as u32, words: [r0, r1, r2, r3], badge }
}

/// The time-stamp counter.
#[inline]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: reading the counter has no side effect; the kernel leaves the instruction open to domains.
    unsafe { core::arch::x86_64::_rdtsc() }
}
