//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp`, for the kernel and for every domain.
//!
//! The compiler calls these five by name, and the precompiled `core` leaves them to a C library. They are in
//! assembly: written as plain loops, the compiler would turn them into calls of themselves.
//!
//! The symbols exist only in programs without an operating system under them; on the host there is only the
//! copy that they are made of.

#![no_std]
#![allow(unsafe_code, reason = "the five functions are defined by raw pointers")]

mod copy;
#[cfg(cloison_target)]
mod functions;

pub use copy::copy;
