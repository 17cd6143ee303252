//! Segments other than those of 64 bits: programs of 32 bits, and segments that a program describes itself.

use std::{arch::asm, env, ffi::c_int, fs, os::unix::fs::PermissionsExt, process::Command, ptr};

use crate::libc::{
    _exit, Action, Context, Information, NOTHING, PAGE, PRIVATE_ANONYMOUS, READ, WRITE, fork, kill, mmap,
    sigaction, syscall, waitpid,
};

/// Below 4 GiB.
const LOW: c_int = 0x40;
const SIGUSR1: c_int = 10;
/// Linux's number of `modify_ldt`, and what it is asked for: to write an entry.
const MODIFY_LDT: i64 = 154;
const WRITE_ENTRY: i64 = 0x11;
/// Linux's selector of code of 32 bits, and those of a program's own first and second segment.
const CODE_32: u16 = 0x23;
const OWN_CODE: u16 = 0x07;
const OWN_DATA: u16 = 0x0f;

/// Ends the process with 42, by a call as programs of 32 bits make it: `mov eax, 1; mov ebx, 42; mov ebp, esp`, and one of
/// three instructions.
const END: [u8; 12] = *b"\xb8\x01\0\0\0\xbb\x2a\0\0\0\x89\xe5";
const BY_INTERRUPT: [u8; 2] = *b"\xcd\x80";
const BY_SYSCALL: [u8; 2] = *b"\x0f\x05";
const BY_SYSENTER: [u8; 2] = *b"\x0f\x34";

/// What Linux calls `user_desc`.
#[repr(C)]
struct Descriptor {
    number: u32,
    base: u32,
    limit: u32,
    flags: u32,
}

/// Code of 32 bits, or data; the limit is in pages.
const IS_CODE_32: u32 = 1 | 2 << 1 | 1 << 4;
const IS_DATA: u32 = 1 | 1 << 4;

/// Tries each in a process of its own.
pub fn segments() {
    // SAFETY: the processes end; what they share with this one they do not write.
    unsafe {
        tried("32 bits, int 0x80", || far(CODE_32, BY_INTERRUPT));
        tried("32 bits, syscall", || far(CODE_32, BY_SYSCALL));
        tried("32 bits, sysenter", || far(CODE_32, BY_SYSENTER));
        tried("64 bits, sysenter", || asm!("sysenter"));
        tried("a signal's return to 32 bits", || signal_returns(CODE_32));
        tried("a signal's return to no segment", || signal_returns(0));
        tried("a signal's return to a segment of the kernel", || signal_returns(0x10));
        tried("a signal's return to an own segment that is none", || signal_returns(OWN_CODE));
        tried("own code", || {
            describe(0, 0, IS_CODE_32);
            far(OWN_CODE, BY_INTERRUPT);
        });
        tried("own data", || own_data());
        tried("own segments described again", || {
            (0..200).for_each(|round| describe(round % 16, round << 12, IS_DATA));
            _exit(42);
        });
    }
    program_32();
}

/// What becomes of a process.
unsafe fn tried(name: &str, what: impl FnOnce()) {
    let mut status = 0;
    // SAFETY: the child ends in any case.
    unsafe {
        match fork() {
            0 => {
                what();
                _exit(1)
            }
            child => assert!(child > 0 && waitpid(child, &raw mut status, 0) == child, "no process"),
        }
    }
    say(name, status);
}

fn say(name: &str, status: c_int) {
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, 42) => println!("segments: {name}: works"),
        (0, code) => println!("segments: {name}: ended with {code}"),
        (signal, _) => println!("segments: {name}: killed by signal {signal}"),
    }
}

/// A page below 4 GiB with code of 32 bits at its begin, and a stack at its end.
unsafe fn code(by: [u8; 2]) -> *mut u8 {
    // SAFETY: a page of its own, written before it is executed.
    unsafe {
        let page = mmap(NOTHING, PAGE, READ | WRITE | 4, PRIVATE_ANONYMOUS | LOW, -1, 0).cast::<u8>();
        ptr::copy_nonoverlapping(END.as_ptr(), page, END.len());
        ptr::copy_nonoverlapping(by.as_ptr(), page.add(END.len()), by.len());
        page
    }
}

/// Goes on in another segment.
unsafe fn far(selector: u16, by: [u8; 2]) {
    // SAFETY: the code ends the process.
    unsafe {
        let page = code(by);
        let pointer = page.add(1024);
        pointer.cast::<u32>().write(page as u32);
        pointer.add(4).cast::<u16>().write(selector);
        asm!(
            "mov rsp, {stack}",
            ".byte 0xff, 0x2f", // jmp far [rdi]
            stack = in(reg) page.add(PAGE - 64),
            in("rdi") pointer,
            options(noreturn),
        );
    }
}

/// A signal's handler lets the process go on in another segment.
unsafe fn signal_returns(selector: u16) {
    static mut PLACE: (u64, u16) = (0, 0);
    extern "C" fn handler(_: c_int, _: *const Information, context: *mut Context) {
        // SAFETY: the kernel calls this with the registers; nothing else runs.
        unsafe {
            let (place, selector) = (&raw const PLACE).read();
            let registers = &mut (*context).registers;
            registers[15] = place + PAGE as u64 - 64;
            registers[16] = place;
            registers[18] = registers[18] & !0xffff | u64::from(selector);
        }
    }
    let action = Action { handler, mask: [0; 16], flags: 4, restorer: 0 };
    // SAFETY: the handler is there for good, and what it goes on with ends the process.
    unsafe {
        (&raw mut PLACE).write((code(BY_INTERRUPT) as u64, selector));
        sigaction(SIGUSR1, &raw const action, NOTHING);
        kill(std::process::id() as c_int, SIGUSR1);
    }
}

/// Describes a segment of the process's own.
unsafe fn describe(number: u32, base: u32, flags: u32) {
    let entry = Descriptor { number, base, limit: 0xf_ffff, flags };
    // SAFETY: the kernel reads as many bytes.
    let answer = unsafe { syscall(MODIFY_LDT, WRITE_ENTRY, &raw const entry, size_of::<Descriptor>()) };
    if answer != 0 {
        // SAFETY: the process ends.
        unsafe { _exit(2) };
    }
}

/// Reads by a segment of its own that begins at a page.
unsafe fn own_data() {
    let read: u32;
    // SAFETY: the page is there, and nothing of this process needs `fs` any more: it ends.
    unsafe {
        let page = code(BY_INTERRUPT);
        page.add(256).cast::<u32>().write(42);
        describe(1, page as u32, IS_DATA);
        asm!("mov fs, {selector:e}", "mov {read:e}, fs:[256]", selector = in(reg) u32::from(OWN_DATA), read = out(reg) read);
        asm!("syscall", in("rax") 231, in("rdi") u64::from(read), options(noreturn));
    }
}

/// A whole program of 32 bits.
fn program_32() {
    const AT: u32 = 0x0804_8000;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0");
    for word in [AT + 84, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"\x34\0\x20\0\x01\0\0\0\0\0\0\0");
    for word in [1, 0, AT, AT, 98, 98, 5, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(END);
    file.extend(BY_INTERRUPT);
    let path = env::temp_dir().join("program-32");
    fs::write(&path, &file).expect("there is a place for files");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is its own");
    match Command::new(&path).status() {
        Ok(status) => say("a program of 32 bits", std::os::unix::process::ExitStatusExt::into_raw(status)),
        Err(error) => println!("segments: a program of 32 bits: {error}"),
    }
}
