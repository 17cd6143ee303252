//! A process that another one stops, steps, reads and changes, as a debugger does.

use std::{
    arch::asm,
    ffi::{c_int, c_long},
    mem,
};

use crate::libc::{_exit, fork, getpid, kill, ptrace, waitpid};

const TRACEME: c_long = 0;
const PEEK: c_long = 1;
const POKE: c_long = 4;
const CONTINUE: c_long = 7;
const STEP: c_long = 9;
const GET_REGISTERS: c_long = 12;
const SET_REGISTERS: c_long = 13;
const SIGSTOP: c_int = 19;

/// The word that the traced process waits for.
static mut WORD: u64 = 0;

/// Another process spins until its word changes; it is stepped, and its word and a register are changed from here.
pub fn trace() {
    // SAFETY: the child spins on its own word until somebody changes it; the parent's registers have room for all.
    unsafe {
        let child = fork();
        if child == 0 {
            ptrace(TRACEME, 0, 0, 0);
            kill(getpid(), SIGSTOP);
            let mut seen = 0_u64;
            asm!(
                "2:",
                "cmp qword ptr [{word}], 0",
                "je 2b",
                "mov {seen}, rbx",
                word = in(reg) &raw const WORD,
                seen = out(reg) seen,
            );
            leave(WORD * 10 + seen);
        }
        let mut status = 0;
        let mut wait = || {
            waitpid(child, &raw mut status, 0);
            status
        };
        println!("stopped: {:#x}", wait());
        let mut registers: [u64; 27] = mem::zeroed();
        let mut places = Vec::new();
        for _ in 0..200 {
            ptrace(STEP, child, 0, 0);
            assert!(wait() == 0x57f, "a step ends with a trap");
            ptrace(GET_REGISTERS, child, 0, (&raw mut registers) as usize);
            places.push(registers[16]);
        }
        let in_loop = &places[places.len() - 20..];
        let mut distinct = in_loop.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        println!("steps: {} places in its loop", distinct.len());
        // `rbx` is the sixth word of `user_regs_struct`.
        registers[5] = 3;
        ptrace(SET_REGISTERS, child, 0, (&raw const registers) as usize);
        ptrace(POKE, child, (&raw const WORD) as usize, 4);
        println!("its word: {}", ptrace_peek(child, (&raw const WORD) as usize));
        // A breakpoint: `int3` in place of the first byte of a function.
        let place = leave as extern "C" fn(u64) -> ! as usize;
        let code = ptrace_peek(child, place);
        ptrace(POKE, child, place, (code & !0xff | 0xcc) as usize);
        ptrace(CONTINUE, child, 0, 0);
        let status = wait();
        ptrace(GET_REGISTERS, child, 0, (&raw mut registers) as usize);
        println!("breakpoint: {status:#x}, {} byte behind it", registers[16].wrapping_sub(place as u64));
        registers[16] = place as u64;
        ptrace(POKE, child, place, code as usize);
        ptrace(SET_REGISTERS, child, 0, (&raw const registers) as usize);
        ptrace(CONTINUE, child, 0, 0);
        println!("ended: {}", wait() >> 8);
    }
}

/// What the traced process does last.
#[inline(never)]
extern "C" fn leave(code: u64) -> ! {
    // SAFETY: the process ends.
    unsafe { _exit(code as c_int) }
}

unsafe fn ptrace_peek(child: c_int, at: usize) -> u64 {
    // SAFETY: the C library's function returns the word.
    unsafe { ptrace(PEEK, child, at, 0) as u64 }
}
