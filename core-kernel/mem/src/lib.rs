//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp`, for the kernel and for every domain.
//!
//! The compiler calls these five by name, and the precompiled `core` leaves them to a C library. The copies
//! use the CPU's string instructions: eight bytes at a time, then the rest. (Written as plain loops, the
//! compiler would turn them into calls of themselves.) No vector register is touched, so an early entry path
//! may use them too.
//!
//! The symbols exist only in programs without an operating system under them; on the host the crate is empty.

#![no_std]
#![allow(unsafe_code, reason = "the five functions are defined by raw pointers")]

#[cfg(cloison_target)]
mod functions;
