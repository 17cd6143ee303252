//! The first process of a Linux that is measured, on the bare machine or as a guest: takes what its most frequent services
//! cost, prints lines of the form `name number`, and switches the machine off. Under a clock that counts instructions, a
//! tick of the time-stamp counter is one.
//!
//! From the kernel's command line: PLACE, `machine` or `guest`. On the machine, lines begin with `linux | `. As a guest, the
//! program marks where a path begins and ends, by an instruction with which guests ask for what their CPU can.

use std::{arch::asm, env, ffi::c_char, ptr};

/// What is measured: its name, how often it is done, and what does it so often and returns what each took.
const PATHS: [(&str, usize, fn(usize) -> Vec<u64>); 4] = [
    ("linux-null-call", 2000, null_calls),
    ("linux-page-fault", 1000, page_faults),
    ("linux-fork-exec", 40, forks),
    ("linux-pipe", 400, pipes),
];
/// One in this many is done before those that count.
const WARM_UP: usize = 4;

/// The program in its file system, and what it is told if it is to do nothing.
const PROGRAM: &[u8] = b"/init\0";
const NOTHING: &[u8] = b"nothing\0";

const GETPPID: u64 = 110;
const PAGE_BYTES: usize = 4096;
const READ_WRITE: i32 = 3;
const PRIVATE_ANONYMOUS: i32 = 0x22;
const POWER_OFF: i32 = 0x4321_fedc;

unsafe extern "C" {
    fn fork() -> i32;
    fn execv(program: *const c_char, arguments: *const *const c_char) -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn mmap(at: *mut u8, bytes: usize, rights: i32, kind: i32, file: i32, offset: i64) -> *mut u8;
    fn munmap(at: *mut u8, bytes: usize) -> i32;
    fn pipe(ends: *mut i32) -> i32;
    fn read(file: i32, to: *mut u8, bytes: usize) -> isize;
    fn write(file: i32, from: *const u8, bytes: usize) -> isize;
    fn reboot(what: i32) -> i32;
    fn _exit(code: i32) -> !;
}

fn main() {
    if env::args().nth(1).is_some() {
        return;
    }
    let is_guest = env::var("PLACE").is_ok_and(|place| place == "guest");
    let (prefix, mark): (_, fn()) = if is_guest { ("", mark) } else { ("linux | ", || ()) };
    for (name, rounds, path) in PATHS {
        path(rounds / WARM_UP);
        mark();
        let mut samples = path(rounds);
        mark();
        samples.sort_unstable();
        println!("{prefix}{name} {}", samples[rounds / 2]);
    }
    let shares: Vec<String> = PATHS.iter().map(|(name, rounds, _)| format!("{name}/{rounds}")).collect();
    println!("{prefix}paths: {}", shares.join(" "));
    println!("{prefix}end");
    // SAFETY: the machine is switched off.
    unsafe { reboot(POWER_OFF) };
}

/// The time-stamp counter.
fn now() -> u64 {
    // SAFETY: reading it changes nothing.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Asks what the CPU can, as a guest of Xen does.
fn mark() {
    // SAFETY: the answer is thrown away. (The compiler keeps rbx for itself.)
    unsafe {
        asm!(
            "push rbx",
            "xor eax, eax",
            ".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2",
            "pop rbx",
            out("rax") _,
            out("rcx") _,
            out("rdx") _,
        );
    }
}

fn samples(rounds: usize, mut action: impl FnMut(usize)) -> Vec<u64> {
    let mut samples = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let before = now();
        action(round);
        samples.push(now() - before);
    }
    samples
}

fn null_calls(rounds: usize) -> Vec<u64> {
    samples(rounds, |_| {
        // SAFETY: the call changes nothing.
        unsafe {
            asm!("syscall", inlateout("rax") GETPPID => _, out("rcx") _, out("r11") _, options(nostack));
        }
    })
}

/// Each touches a page for the first time.
fn page_faults(rounds: usize) -> Vec<u64> {
    let bytes = rounds * PAGE_BYTES;
    // SAFETY: new memory, which is touched within its bounds, and given back.
    unsafe {
        let pages = mmap(ptr::null_mut(), bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
        assert!(pages as isize != -1, "no memory");
        let samples = samples(rounds, |page| pages.add(page * PAGE_BYTES).write_volatile(1));
        munmap(pages, bytes);
        samples
    }
}

/// Each makes a process that becomes this program, which does nothing, and waits for it.
fn forks(rounds: usize) -> Vec<u64> {
    let (program, nothing) = (PROGRAM.as_ptr().cast(), NOTHING.as_ptr().cast());
    let arguments = [program, nothing, ptr::null()];
    samples(rounds, |_| {
        // SAFETY: the child touches nothing of its parent's; the strings and the list end with zeros.
        unsafe {
            match fork() {
                0 => {
                    execv(program, arguments.as_ptr());
                    _exit(1);
                }
                child => {
                    let mut status = 0;
                    waitpid(child, &raw mut status, 0);
                    assert!(child > 0 && status == 0, "no process, or it has failed: {status:#x}");
                }
            }
        }
    })
}

/// Each sends a byte to another process, which sends it back.
fn pipes(rounds: usize) -> Vec<u64> {
    let (mut there, mut back) = ([0; 2], [0; 2]);
    // SAFETY: the ends, the byte and the status have room for what is written to them.
    unsafe {
        assert!(pipe(there.as_mut_ptr()) == 0 && pipe(back.as_mut_ptr()) == 0, "no pipes");
        let child = fork();
        let mut byte = 0;
        if child == 0 {
            for _ in 0..rounds {
                read(there[0], &raw mut byte, 1);
                write(back[1], &raw const byte, 1);
            }
            _exit(0);
        }
        let samples = samples(rounds, |_| {
            write(there[1], &raw const byte, 1);
            read(back[0], &raw mut byte, 1);
        });
        let mut status = 0;
        waitpid(child, &raw mut status, 0);
        samples
    }
}
