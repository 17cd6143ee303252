//! A program for a Linux, which puts its kernel's and its CPU's services to a trial. On a bare machine and in a guest it
//! prints the same.
//!
//! - `trial traps`: executes instructions that cannot be, and says which signal each gives, and where;
//! - `trial vectors NUMBER ROUNDS`: keeps its vector registers full, beside others that have other contents; without a number
//!   of rounds, for ever;
//! - `trial forks COUNT`: makes processes that write to what they share with it, and become other programs;
//! - `trial sparse COUNT`: has a page in each of many GiB, so that most of what it has is page tables, and a process like it;
//! - `trial trace`: steps another process by single instructions, and changes its registers and memory.

use std::{
    arch::asm,
    env,
    ffi::{c_char, c_int, c_long, c_void},
    mem, ptr,
};

const PAGE: usize = 4096;
const READ: c_int = 1;
const WRITE: c_int = 2;
const PRIVATE_ANONYMOUS: c_int = 0x22;
const WITHOUT_RESERVE: c_int = 0x4000;
const NOTHING: *mut c_void = ptr::null_mut();

#[repr(C)]
struct Action {
    handler: extern "C" fn(c_int, *const Information, *mut Context),
    mask: [u64; 16],
    flags: c_int,
    restorer: usize,
}

#[repr(C)]
struct Information {
    signal: c_int,
    error: c_int,
    code: c_int,
    pad: c_int,
    address: u64,
}

/// `ucontext_t` as far as it is used: flags, link, stack, then the registers.
#[repr(C)]
struct Context {
    head: [u64; 5],
    registers: [u64; 23],
}

const RIP: usize = 16;
const FLAGS: usize = 17;
const ERROR: usize = 19;
const TRAP: usize = 20;

const SINGLE_STEP: u64 = 1 << 8;
/// Carry, parity, adjust, zero, sign, overflow.
const ARITHMETIC: u64 = 0x8d5;

unsafe extern "C" {
    fn sigaction(signal: c_int, new: *const Action, old: *mut c_void) -> c_int;
    fn fork() -> c_int;
    fn execv(program: *const c_char, arguments: *const *const c_char) -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn mmap(
        at: *mut c_void,
        bytes: usize,
        rights: c_int,
        kind: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn mprotect(at: *mut c_void, bytes: usize, rights: c_int) -> c_int;
    fn munmap(at: *mut c_void, bytes: usize) -> c_int;
    fn ptrace(request: c_long, process: c_int, at: usize, data: usize) -> c_long;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn getpid() -> c_int;
    fn _exit(code: c_int) -> !;
}

fn main() {
    let words: Vec<String> = env::args().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(1_u64);
    match words.get(1).map(String::as_str) {
        Some("traps") => traps(),
        Some("vectors") => vectors(number(2), words.get(3).map(|_| number(3))),
        Some("forks") => forks(number(2)),
        Some("sparse") => sparse(number(2)),
        Some("trace") => trace(),
        // What a process of `forks` becomes.
        Some("sum") => std::process::exit((number(2) * 7 % 251) as i32),
        _ => eprintln!("traps, vectors NUMBER [ROUNDS], forks COUNT, sparse COUNT, or trace"),
    }
}

// --- traps

/// What is tried: its name, its code, and what rdi is.
type Attempt = (&'static str, &'static [u8], u64);

const UNMAPPED: u64 = 0x1000_0000;
const NOT_CANONICAL: u64 = 0x8000_0000_0000;
const OF_TIME: u64 = 0xffff_ffff_ff60_0400;
const OF_THE_KERNEL: u64 = 0xffff_ffff_8100_0000;

/// Instead of an argument: the address of control bits that let each arithmetical exception through.
const UNMASKED: u64 = 1;
static CONTROL: u32 = 0;
/// What the CPU begins with.
static DEFAULT_CONTROL: u32 = 0x1f80;

/// `ret`, behind each. A number that stands for a system call of 32 bits is that of `getpid`.
const ATTEMPTS: [Attempt; 40] = [
    ("div by 0", b"\x31\xc9\x31\xd2\xf7\xf1", 0),
    ("fdivp by 0", b"\xd9\x2f\xd9\xe8\xd9\xee\xde\xf9\x9b", UNMASKED),
    ("divss by 0", b"\x0f\xae\x17\x0f\x57\xc0\xb8\x01\0\0\0\xf3\x0f\x2a\xc8\xf3\x0f\x5e\xc8", UNMASKED),
    ("icebp", b"\xf1", 0),
    ("int 1", b"\xcd\x01", 0),
    ("int 2", b"\xcd\x02", 0),
    ("int3", b"\xcc", 0),
    ("int 3", b"\xcd\x03", 0),
    ("int 4", b"\xcd\x04", 0),
    ("int 0x80", b"\xb8\x14\0\0\0\xcd\x80", 0),
    ("int 0x20", b"\xcd\x20", 0),
    ("int 0xff", b"\xcd\xff", 0),
    ("into", b"\xce", 0),
    ("ud2", b"\x0f\x0b", 0),
    ("lock on a register", b"\xf0\x01\xc0", 0),
    ("hlt", b"\xf4", 0),
    ("cli", b"\xfa", 0),
    ("sti", b"\xfb", 0),
    ("in al, dx", b"\x66\xba\x80\x00\xec", 0),
    ("out dx, al", b"\x66\xba\x80\x00\xee", 0),
    ("mov rax, cr0", b"\x0f\x20\xc0", 0),
    ("mov cr3, rax", b"\x31\xc0\x0f\x22\xd8", 0),
    ("mov rax, dr7", b"\x0f\x21\xf8", 0),
    ("rdmsr", b"\x31\xc9\x0f\x32", 0),
    ("wrmsr", b"\x31\xc9\x0f\x30", 0),
    ("mov ds, 0x10", b"\xb8\x10\0\0\0\x8e\xd8", 0),
    ("mov ds, 0xf", b"\xb8\x0f\0\0\0\x8e\xd8", 0),
    ("rdpmc", b"\x31\xc9\x0f\x33", 0),
    ("lgdt", b"\x0f\x01\x17", UNMAPPED),
    ("ltr", b"\x31\xc0\x0f\x00\xd8", 0),
    ("invlpg", b"\x0f\x01\x3f", UNMAPPED),
    ("clts", b"\x0f\x06", 0),
    ("swapgs", b"\x0f\x01\xf8", 0),
    ("sysretq", b"\x48\x0f\x07", 0),
    ("read what is not there", b"\x8a\x07", UNMAPPED),
    ("write what is not there", b"\x88\x07", UNMAPPED),
    ("read at no address", b"\x8a\x07", NOT_CANONICAL),
    ("read of the kernel", b"\x8a\x07", OF_THE_KERNEL),
    ("call of the page for time", b"\xff\xe7", OF_TIME),
    ("jump to what is not there", b"\xff\xe7", UNMAPPED),
];

/// What a signal says: its number, why, the address that it is about; and the registers' say: trap, error code, the
/// instruction, the flags.
type Caught = [u64; 7];

/// What the last one said.
static mut CAUGHT: Caught = [0; 7];
/// Where a program goes on after its signal.
static mut BACK: u64 = 0;

extern "C" fn caught(signal: c_int, information: *const Information, context: *mut Context) {
    // SAFETY: the kernel calls this with both; nothing else runs meanwhile.
    unsafe {
        let registers = &mut (*context).registers;
        CAUGHT = [
            signal as u64,
            (*information).code as u64,
            (*information).address,
            registers[TRAP],
            registers[ERROR],
            registers[RIP],
            registers[FLAGS],
        ];
        registers[RIP] = BACK;
        registers[FLAGS] &= !SINGLE_STEP;
    }
}

fn traps() {
    let action = Action { handler: caught, mask: [0; 16], flags: 4 | 0x4000_0000, restorer: 0 };
    for signal in [4, 5, 7, 8, 11] {
        // SAFETY: the handler is there for good.
        assert!(unsafe { sigaction(signal, &raw const action, NOTHING) } == 0);
    }
    // SAFETY: a page of its own, written before it can be executed.
    let page = unsafe { mmap(NOTHING, PAGE, READ | WRITE | 4, PRIVATE_ANONYMOUS, -1, 0) }.cast::<u8>();
    for (name, code, argument) in ATTEMPTS {
        // SAFETY: the code fits into the page and returns, or its signal goes on behind the call.
        let what = unsafe {
            ptr::copy_nonoverlapping(code.as_ptr(), page, code.len());
            page.add(code.len()).write(0xc3);
            (&raw mut CAUGHT).write([0; 7]);
            attempt(page, if argument == UNMASKED { (&raw const CONTROL) as u64 } else { argument });
            (&raw const CAUGHT).read()
        };
        println!("{name}: {}", describe(what, page as u64));
    }
    single_step();
}

/// Calls code that may never return by itself.
unsafe fn attempt(code: *const u8, argument: u64) {
    // SAFETY: the caller's; what the code may change is named, and the stack is put back.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "mov r12, rsp",
            "lea rax, [rip + 2f]",
            "mov [{back}], rax",
            "call {code}",
            "2:",
            "mov rsp, r12",
            "fninit",
            "ldmxcsr [r13]",
            "pop rbp",
            "pop rbx",
            code = in(reg) code,
            back = in(reg) &raw mut BACK,
            in("r13") &raw const DEFAULT_CONTROL,
            in("rdi") argument,
            out("r12") _,
            out("rax") _, out("rcx") _, out("rdx") _,
            clobber_abi("C"),
        );
    }
}

fn describe([signal, code, address, trap, error, rip, flags]: Caught, page: u64) -> String {
    let name = match signal {
        0 => return "nothing".into(),
        4 => "SIGILL",
        5 => "SIGTRAP",
        7 => "SIGBUS",
        8 => "SIGFPE",
        _ => "SIGSEGV",
    };
    let place = |at: u64| match at.wrapping_sub(page) {
        byte if byte < PAGE as u64 => format!("byte {byte}"),
        _ => format!("{at:#x}"),
    };
    // What arithmetic leaves is the CPU's own.
    let flags = flags & !ARITHMETIC;
    let (about, rip) = (place(address), place(rip));
    format!("{name} {} about {about}, trap {trap}, error {error:#x}, at {rip}, flags {flags:#x}", code as i32)
}

/// A program may ask for a trap after each of its instructions.
fn single_step() {
    let page: u64;
    // SAFETY: the flag is set for one instruction; the signal takes it back.
    unsafe {
        (&raw mut CAUGHT).write([0; 7]);
        asm!(
            "lea {page}, [rip + 2f]",
            "mov [{back}], {page}",
            "pushfq",
            "or qword ptr [rsp], 0x100",
            "popfq",
            "nop",
            "2:",
            back = in(reg) &raw mut BACK,
            page = out(reg) page,
        );
        println!("single step: {}", describe((&raw const CAUGHT).read(), page));
    }
}

// --- vectors

/// Rounds between two looks at what was lost.
const ROUNDS: u64 = 5000;

/// Keeps registers full and looks at them again and again. What it does between, a system call that lets others run, could
/// lose them.
fn vectors(number: u64, rounds: Option<u64>) {
    let kind = if std::is_x86_feature_detected!("avx") { "AVX" } else { "SSE" };
    let mut lost = 0_u64;
    for round in 1..=rounds.unwrap_or(u64::MAX) {
        let seed = number << 32 | round;
        // SAFETY: the CPU has AVX, or the other one is taken.
        let kept = unsafe { if kind == "AVX" { keep_avx(seed) } else { keep_sse(seed) } };
        lost += u64::from(!kept);
        if round % ROUNDS == 0 {
            println!("vectors {number}: {round} rounds with {kind}, {lost} lost");
        }
    }
}

/// Fills the registers, lets others have the CPU, and compares.
unsafe fn keep_avx(seed: u64) -> bool {
    let words: [u64; 4] = [seed, !seed, seed.rotate_left(17), seed ^ 0x5555_aaaa_5555_aaaa];
    let mut out = [[0_u64; 4]; 3];
    // SAFETY: reads four words, writes three times four; sched_yield changes nothing else.
    unsafe {
        asm!(
            "vmovdqu ymm0, [{words}]",
            "vmovdqu ymm7, [{words}]",
            "vmovdqu ymm15, [{words}]",
            "mov eax, 24",
            "syscall",
            "pause",
            "vmovdqu [{out}], ymm0",
            "vmovdqu [{out} + 32], ymm7",
            "vmovdqu [{out} + 64], ymm15",
            words = in(reg) words.as_ptr(),
            out = in(reg) out.as_mut_ptr(),
            out("rax") _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm7") _, out("xmm15") _,
        );
    }
    out.iter().all(|kept| *kept == words)
}

unsafe fn keep_sse(seed: u64) -> bool {
    let words: [u64; 2] = [seed, !seed];
    let mut out = [[0_u64; 2]; 2];
    // SAFETY: as above.
    unsafe {
        asm!(
            "movdqu xmm0, [{words}]",
            "movdqu xmm15, [{words}]",
            "mov eax, 24",
            "syscall",
            "movdqu [{out}], xmm0",
            "movdqu [{out} + 16], xmm15",
            words = in(reg) words.as_ptr(),
            out = in(reg) out.as_mut_ptr(),
            out("rax") _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm15") _,
        );
    }
    out.iter().all(|kept| *kept == words)
}

// --- forks

/// Pages that parent and child share until one of them writes.
const PAGES: usize = 24;

/// Each process sees what its parent had written, and neither sees what the other writes afterwards. Rights that are taken
/// away are gone at once, and memory that is given back is empty when it comes again.
fn forks(count: u64) {
    // SAFETY: memory of its own, used within its bounds.
    let memory = unsafe { mmap(NOTHING, PAGES * PAGE, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0) }.cast::<u64>();
    let words = PAGE / 8;
    let mut wrong = 0;
    for round in 0..count {
        for page in 0..PAGES {
            // SAFETY: as above.
            unsafe { memory.add(page * words).write_volatile(round << 8 | page as u64) };
        }
        // SAFETY: the child uses its own copy and ends, or becomes another program.
        let status = unsafe {
            match fork() {
                0 => child(memory, round),
                child => {
                    // While the child runs, the parent writes what the child must not see.
                    (0..PAGES).for_each(|page| memory.add(page * words + 1).write_volatile(round));
                    let mut status = 0;
                    assert!(child > 0 && waitpid(child, &raw mut status, 0) == child, "no process");
                    status
                }
            }
        };
        // SAFETY: as above.
        let kept = (0..PAGES)
            .all(|page| unsafe { memory.add(page * words).read_volatile() } == round << 8 | page as u64);
        let again = unsafe { comes_again(round) };
        if status != ((round * 7 % 251) as c_int) << 8 || !kept || !again {
            wrong += 1;
        }
    }
    println!("forks: {count}, {wrong} wrong");
}

unsafe fn child(memory: *mut u64, round: u64) -> ! {
    let words = PAGE / 8;
    // SAFETY: the caller's memory, which is this process's own copy; strings that end with zeros.
    unsafe {
        for page in 0..PAGES {
            let at = memory.add(page * words);
            if at.read_volatile() != round << 8 | page as u64
                || ![0, round.saturating_sub(1)].contains(&at.add(1).read_volatile())
            {
                _exit(255);
            }
            at.write_volatile(!0);
        }
        let number = format!("{round}\0");
        let arguments =
            [b"trial\0".as_ptr().cast(), b"sum\0".as_ptr().cast(), number.as_ptr().cast(), ptr::null()];
        execv(b"/proc/self/exe\0".as_ptr().cast(), arguments.as_ptr());
        _exit(254)
    }
}

/// A page that is given back and asked for again is empty.
unsafe fn comes_again(round: u64) -> bool {
    // SAFETY: memory of its own, given back before it is asked for again.
    unsafe {
        let page = mmap(NOTHING, PAGE, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0);
        let word = page.cast::<u64>();
        let was_empty = word.read_volatile() == 0;
        word.write_volatile(round | 1);
        mprotect(page, PAGE, READ);
        let is_there = word.read_volatile() == round | 1;
        munmap(page, PAGE);
        was_empty && is_there
    }
}

// --- sparse

const GIB: usize = 1 << 30;

/// A process has as many pages, a GiB apart, and a child that gives them back without having looked at one.
fn sparse(count: u64) {
    let bytes = count as usize * GIB;
    // SAFETY: memory of its own, touched within its bounds; the child uses its own copy, and ends.
    unsafe {
        let kind = PRIVATE_ANONYMOUS | WITHOUT_RESERVE;
        let memory = mmap(NOTHING, bytes, READ | WRITE, kind, -1, 0);
        assert!(memory as isize != -1, "no addresses");
        let word = |page: u64| memory.cast::<u8>().add(page as usize * GIB).cast::<u64>();
        (0..count).for_each(|page| word(page).write_volatile(!page));
        let mut status = 0;
        match fork() {
            0 => _exit(munmap(memory, bytes)),
            child => assert!(child > 0 && waitpid(child, &raw mut status, 0) == child, "no process"),
        }
        let wrong = (0..count).filter(|page| word(*page).read_volatile() != !page).count();
        println!("sparse: {count} pages, {wrong} wrong, child {status:#x}");
    }
}

// --- trace

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
fn trace() {
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
