//! What the prober knows of its surroundings, and how it lays hands on an address.
#![allow(unsafe_code, reason = "the prober does on purpose what no program may do")]

use core::{
    arch::{asm, naked_asm},
    sync::atomic::AtomicU64,
};

use cloison_abi::limits::{IMAGE_ADDRESS, PAGE_BYTES};
use cloison_rt::sys::{Slot, any_call, info, memory::SharedMemory};
use watcher_api::watch;

/// Length of the stack, as `domain.toml` says it.
const STACK_BYTES: u64 = 16 * 1024;

/// Data to try to execute.
static DATA: AtomicU64 = AtomicU64::new(0xc3c3_c3c3_c3c3_c3c3);
/// Data to try to write.
static CONSTANT: [u64; 4] = [0xc3c3_c3c3_c3c3_c3c3; 4];

unsafe extern "C" {
    /// Where the builder started this domain.
    fn _start();
}

/// The prober's surroundings.
pub(crate) struct World {
    pub(crate) watcher: watch::Client,
    /// The page that it shares with the watcher.
    pub(crate) page: SharedMemory,
    /// Slots that it has.
    pub(crate) watch_gate: Slot,
    pub(crate) watch_event: Slot,
    pub(crate) log_gate: Slot,
    pub(crate) plot: Slot,
    pub(crate) entry: u64,
    pub(crate) stack_top: u64,
}

impl World {
    pub(crate) fn look_around() -> Option<Self> {
        let page = info::get();
        let watch = page.find::<info::Use>("watch")?;
        let watch_gate = info::slot(watch)?;
        Some(Self {
            watcher: watch::Client::new(watch_gate),
            page: SharedMemory::of(watch)?,
            watch_gate,
            watch_event: info::signal_slot(watch)?,
            log_gate: page.slot::<info::Use>("log")?,
            plot: page.slot::<info::Region>("plot")?,
            entry: _start as *const () as u64,
            stack_top: stack_pointer().next_multiple_of(PAGE_BYTES),
        })
    }

    pub(crate) fn stack_bottom(&self) -> u64 {
        self.stack_top - STACK_BYTES
    }

    /// The first address behind everything that the plan maps for this domain: behind the page shared with
    /// the watcher.
    pub(crate) fn beyond(&self) -> u64 {
        let shared = info::get().find::<info::Use>("watch");
        shared.map_or(0, |watch| watch.channel.address + watch.channel.bytes)
    }

    pub(crate) fn shared(&self) -> u64 {
        self.beyond() - PAGE_BYTES
    }

    pub(crate) fn code(&self) -> u64 {
        self.entry
    }

    pub(crate) fn data(&self) -> u64 {
        (&raw const DATA) as u64
    }

    pub(crate) fn constant(&self) -> u64 {
        (&raw const CONSTANT) as u64
    }

    /// The first mapping after the information page: the program's.
    pub(crate) fn image(&self) -> u64 {
        IMAGE_ADDRESS
    }
}

/// Makes a call with any registers. Returns the outcome.
pub(crate) fn call(number: u8, slot: u8, label: u32, arguments: [u64; 6]) -> i32 {
    let rax = u64::from(number) | u64::from(slot) << 8 | u64::from(label) << 32;
    // SAFETY: the acts never unmap what this program uses; if the kernel lets another call do it, the test
    // has failed.
    unsafe { any_call(rax, arguments).0 }
}

/// Reads a byte.
pub(crate) fn read(address: u64) {
    // SAFETY: none: the read must fault. If it comes back, its result is not used.
    unsafe {
        asm!("mov {byte}, [{address}]", address = in(reg) address, byte = out(reg_byte) _, options(nostack))
    };
}

/// Writes a byte.
pub(crate) fn write(address: u64) {
    // SAFETY: none: the write must fault. If it comes back, the test has failed, whatever it has overwritten.
    unsafe { asm!("mov byte ptr [{address}], 0xc3", address = in(reg) address, options(nostack)) };
}

/// Jumps somewhere, where a `ret` may stand.
pub(crate) fn jump(address: u64) {
    // SAFETY: none: the jump must fault. What it could find there, if it does not, are `ret`s.
    unsafe { asm!("call {address}", address = in(reg) address, clobber_abi("sysv64")) };
}

/// The level at which the CPU runs this program.
pub(crate) fn privilege_level() -> u16 {
    let selector: u16;
    // SAFETY: reads a register.
    unsafe { asm!("mov {:x}, cs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector & 3
}

fn stack_pointer() -> u64 {
    let pointer;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Makes the call `Clock` while the stack pointer holds `stack`, and after `flags` have been set in the
/// flags. Returns the outcome, and spins for a while before, so that a timer interrupt may find the same.
#[unsafe(naked)]
pub(crate) extern "sysv64" fn call_with_odd_state(stack: u64, flags: u64, spins: u64) -> i32 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "mov rbx, rsp",
        "mov rcx, rdx",
        "pushfq",
        "or [rsp], rsi",
        "popfq",
        "mov rsp, rdi",
        "2: dec rcx",
        "jg 2b",
        "mov eax, {clock}",
        "syscall",
        "mov rsp, rbx",
        "push 2",
        "popfq",
        "pop rbp",
        "pop rbx",
        "ret",
        clock = const cloison_abi::CallNumber::Clock as u32,
    )
}

/// Makes the call `Clock` with `flags` set beside the usual ones, by the instruction right after the one that sets
/// them: a single step is then due at the call itself.
#[unsafe(naked)]
pub(crate) extern "sysv64" fn call_with_flags(flags: u64) -> i32 {
    naked_asm!(
        "mov eax, {clock}",
        "pushfq",
        "or [rsp], rdi",
        "popfq",
        "syscall",
        "push 2",
        "popfq",
        "ret",
        clock = const cloison_abi::CallNumber::Clock as u32,
    )
}

/// Whether what is written at one address is read at the other. Both are mapped, to the same page.
pub(crate) fn passes_through(write: u64, read: u64, value: u64) -> bool {
    // SAFETY: the caller has just mapped both addresses, the first one for writing, and nothing else is
    // there.
    unsafe {
        (write as *mut u64).write_volatile(value);
        (read as *const u64).read_volatile() == value
    }
}

/// Whether nothing but zeros is there. The caller has just mapped it.
pub(crate) fn is_empty(address: u64, bytes: u64) -> bool {
    // SAFETY: the caller has just mapped these pages for reading, and nothing else uses them.
    let mut words =
        (0..bytes / 8).map(|index| unsafe { (address as *const u64).add(index as usize).read_volatile() });
    words.all(|word| word == 0)
}
