//! The lock around the kernel's state: taken on the way in, released by the entry code on the way out.
//!
//! A lock that compiled code releases, as `spin::Mutex` does, is free while registers are still to be loaded: with a
//! second CPU, that one could change or reuse the context from which they come. So nothing releases a [`Locked`] but
//! the way out itself, after the last register ([`super::entry`]).

use core::{
    arch::asm,
    cell::UnsafeCell,
    mem::offset_of,
    ops::{Deref, DerefMut},
};

use crate::state::Kernel;

/// The lock, and what it guards.
#[repr(C)]
pub(super) struct Lock {
    /// Bit 0 is set while the lock is held.
    held: UnsafeCell<u32>,
    kernel: UnsafeCell<Kernel>,
}

/// The kernel's state, behind its one lock.
pub(super) static KERNEL: Lock = Lock { held: UnsafeCell::new(0), kernel: UnsafeCell::new(Kernel::NONE) };

// SAFETY: the value is reached through `Locked` alone, and there is one at a time: `take` makes it after its CPU has
// set the bit, and the bit is cleared when the CPU has left the kernel and that `Locked` with it.
unsafe impl Sync for Lock {}

const _: () = assert!(offset_of!(Lock, held) == 0, "the entry code clears the first word");

/// Waits until the lock is free, and takes it. All of it is assembly: where the compiler sees a loop, the short ways
/// through the kernel pay for the registers that it needs.
#[inline(always)]
pub fn take() -> Locked {
    // SAFETY: only the word of the lock is read and written, by instructions that are atomic or only look.
    unsafe {
        asm!(
            "2: lock bts dword ptr [{held}], 0",
            "jnc 4f",
            "3: pause",
            "test dword ptr [{held}], 1",
            "jnz 3b",
            "jmp 2b",
            "4:",
            held = in(reg) KERNEL.held.get(),
            options(nostack),
        );
    }
    Locked(&KERNEL)
}

/// What the lock guards, for as long as this CPU is in the kernel.
pub struct Locked(&'static Lock);

impl Deref for Locked {
    type Target = Kernel;

    #[inline(always)]
    fn deref(&self) -> &Kernel {
        // SAFETY: this CPU holds the lock, and nobody else has a reference.
        unsafe { &*self.0.kernel.get() }
    }
}

impl DerefMut for Locked {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Kernel {
        // SAFETY: as for `deref`; `self` is borrowed alone.
        unsafe { &mut *self.0.kernel.get() }
    }
}
