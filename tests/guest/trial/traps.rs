//! Instructions that a program cannot execute, and what becomes of them.

use std::{arch::asm, ffi::c_int, ptr};

use crate::libc::{
    Action, Context, Information, NOTHING, PAGE, PRIVATE_ANONYMOUS, READ, WRITE, mmap, sigaction,
};

const RIP: usize = 16;
const FLAGS: usize = 17;
const ERROR: usize = 19;
const TRAP: usize = 20;

const SINGLE_STEP: u64 = 1 << 8;
/// Carry, parity, adjust, zero, sign, overflow.
const ARITHMETIC: u64 = 0x8d5;

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

/// Tries them all, and one step.
pub fn traps() {
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
