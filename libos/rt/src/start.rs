//! From the first instruction to the domain's main function.
#![allow(unsafe_code, reason = "the first instructions are assembly")]

use core::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering},
};

use cloison_abi::ABI_VERSION;

// The builder starts a domain here, with an aligned stack and its argument in `rdi`. A call (not a jump)
// leaves the stack as the ABI wants it at a function's entry; the function does not return.
#[cfg(cloison_target)]
core::arch::global_asm!(
    ".section .text._start, \"ax\"",
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "call domain_main",
    "ud2",
    ".text",
);

/// With what argument the domain was started: 0, unless another domain than the builder started it again.
static ARGUMENT: AtomicU64 = AtomicU64::new(0);

/// With what argument the domain was started.
#[must_use]
pub fn argument() -> u64 {
    ARGUMENT.load(Ordering::Relaxed)
}

/// The address at which the builder starts this domain: a fault handler that starts it again needs it. On the host, where
/// nothing starts a domain, it is that of the process.
#[must_use]
pub fn entry() -> u64 {
    unsafe extern "C" {
        fn _start();
    }
    _start as *const () as u64
}

/// How a main function can end.
pub trait Outcome {
    /// Logs an error, if there is one, and returns the domain's exit code.
    fn report(self) -> u64;
}

impl Outcome for () {
    fn report(self) -> u64 {
        0
    }
}

impl<E: Display> Outcome for Result<(), E> {
    fn report(self) -> u64 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                crate::log!("error: {error}");
                1
            }
        }
    }
}

/// Sets up the heap, runs `main` and ends the domain.
pub fn run<R: Outcome>(argument: u64, main: fn() -> R) -> ! {
    ARGUMENT.store(argument, Ordering::Relaxed);
    #[cfg(cloison_target)]
    crate::callers::begin();
    let info = cloison_sys::info::get();
    if info.abi_version() != ABI_VERSION {
        crate::log!(
            "error: this domain speaks ABI version {ABI_VERSION}, its page version {}",
            info.abi_version()
        );
        cloison_sys::exit(1);
    }
    crate::heap::init(info);
    cloison_sys::exit(main().report())
}
