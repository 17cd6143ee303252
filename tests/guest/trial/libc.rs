//! What the trial uses of the C library.

use std::{
    ffi::{c_char, c_int, c_long, c_void},
    ptr,
};

pub const PAGE: usize = 4096;
pub const READ: c_int = 1;
pub const WRITE: c_int = 2;
pub const PRIVATE_ANONYMOUS: c_int = 0x22;
pub const WITHOUT_RESERVE: c_int = 0x4000;
pub const NOTHING: *mut c_void = ptr::null_mut();

#[repr(C)]
pub struct Action {
    pub handler: extern "C" fn(c_int, *const Information, *mut Context),
    pub mask: [u64; 16],
    pub flags: c_int,
    pub restorer: usize,
}

#[repr(C)]
pub struct Information {
    pub signal: c_int,
    pub error: c_int,
    pub code: c_int,
    pub pad: c_int,
    pub address: u64,
}

/// `ucontext_t` as far as it is used: flags, link, stack, then the registers.
#[repr(C)]
pub struct Context {
    pub head: [u64; 5],
    pub registers: [u64; 23],
}

unsafe extern "C" {
    pub fn sigaction(signal: c_int, new: *const Action, old: *mut c_void) -> c_int;
    pub fn fork() -> c_int;
    pub fn execv(program: *const c_char, arguments: *const *const c_char) -> c_int;
    pub fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    pub fn mmap(
        at: *mut c_void,
        bytes: usize,
        rights: c_int,
        kind: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    pub fn mprotect(at: *mut c_void, bytes: usize, rights: c_int) -> c_int;
    pub fn munmap(at: *mut c_void, bytes: usize) -> c_int;
    pub fn ptrace(request: c_long, process: c_int, at: usize, data: usize) -> c_long;
    pub fn kill(process: c_int, signal: c_int) -> c_int;
    pub fn getpid() -> c_int;
    pub fn syscall(number: c_long, ...) -> c_long;
    pub fn _exit(code: c_int) -> !;
}
