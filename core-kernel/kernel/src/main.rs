//! Cloison's separation kernel.
//!
//! The kernel keeps domains apart and lets them communicate as the plan says. It has no policy: it builds one
//! domain, the builder, and that one builds all others. Its drivers are those for the interrupt controllers, the
//! timers and a serial line for its own log; its parsers are those for ACPI tables and the boot loader's
//! information. What it decides is in `cloison-rules`; what needs `unsafe` is in [`arch`]; what domains ask of it
//! is in [`calls`].
//!
//! On the host there is [`arch`] for a simulated machine, and what domains ask is tested on it.

#![cfg_attr(cloison_target, no_std)]
#![cfg_attr(cloison_target, no_main)]
#![cfg_attr(
    not(cloison_target),
    allow(dead_code, unused_imports, reason = "on the host only tests begin anything")
)]

mod arch;
#[cfg(cloison_target)]
mod boot;
mod builder;
mod calls;
mod end;
#[cfg(cloison_target)]
mod enter;
mod fault;
mod guest;
mod life;
mod log;
mod machine;
mod monitor;
mod state;
#[cfg(test)]
mod tests;

// The five memory functions come in by name; nothing calls them by path.
use cloison_mem as _;

/// A panic of the kernel: there is no state to trust any more, so the words go straight to the serial line.
#[cfg(cloison_target)]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (mut serial, exit) = arch::serial::ports();
    // A serial line never fails.
    let _ = core::fmt::Write::write_fmt(&mut serial, format_args!("\nkernel | panic: {info}\n"));
    exit.write(cloison_abi::call::SystemEnd::Panic as u8);
    arch::cpu::stop()
}

/// On the host there is nothing to begin but tests.
#[cfg(not(cloison_target))]
fn main() {}
