//! What every domain starts with: entry, heap, panic, log, time, services by name, and a small executor.
//!
//! A domain is a program with one thread. It names its main function with [`entry!`]:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//!
//! cloison_rt::entry!(main);
//!
//! fn main() {
//!     cloison_rt::log!("hello from a unikernel domain");
//! }
//! ```

#![no_std]

extern crate alloc;

#[doc(hidden)]
pub mod start;

pub mod heap;
pub mod ipreg;
pub mod log;
pub mod task;
pub mod time;

#[cfg(cloison_target)]
mod callers;
#[cfg(cloison_target)]
mod panic;

// The five memory functions come in by name; nothing calls them by path.
use cloison_mem as _;

pub use cloison_sys as sys;

/// Makes `main` the domain's main function. It returns nothing, or a `Result` whose error can be shown: an
/// error is logged, and the domain ends with code 1.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[doc(hidden)]
        #[allow(unsafe_code, reason = "the entry code jumps to this symbol by name")]
        #[unsafe(no_mangle)]
        extern "C" fn domain_main(argument: u64) -> ! {
            $crate::start::run(argument, $main)
        }
    };
}

/// Logs one line.
#[macro_export]
macro_rules! log {
    ($($part:tt)*) => {
        $crate::log::line(::core::format_args!($($part)*))
    };
}
