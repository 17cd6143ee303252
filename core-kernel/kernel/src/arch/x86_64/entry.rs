//! The way into the kernel and out of it.
//!
//! A domain enters by a system call, an exception or an interrupt. Each time its registers go into its
//! [`Context`] first; only then does compiled code run, on the CPU's one kernel stack, from its top. The
//! compiled code ends by leaving with a context, or with NULL if nobody can run. Nothing stays on the stack
//! between two entries. The lock around the kernel's state is released here, after the last register.
//!
//! `gs` points to the CPU's [`Head`] while the kernel runs; a domain's own `gs` base is always 0.
//!
//! While a guest runs, `syscall` leads elsewhere, so that domains pay nothing for guests. There, as in a trap, all
//! registers are saved into the guest's context, and the way back is that of one that was interrupted.

use core::{
    arch::global_asm,
    mem::{MaybeUninit, offset_of},
};

use cloison_abi::{
    CallNumber,
    guest::{GUEST_FLAGS, GuestHalf, GuestSwitch},
};
use cloison_rules::guest::{FIXED_FLAGS, LOWER_BITS};

use super::{
    apic::STRAY_VECTOR,
    context::{Context, Return, VectorState},
    cpu::LOADED,
    guest_context::GuestContext,
    head::Head,
    lock::{KERNEL, Locked},
    segments::KERNEL_GS_BASE,
    selectors::{USER_CODE, USER_DATA},
};

/// Vectors for which there is a stub. The last stub serves all vectors from its own on: a device that signals by message
/// names the vector itself, so all have to lead somewhere.
pub const STUBS: usize = STRAY_VECTOR as usize + 1;
/// Bytes of a stub: two for each of the two numbers that it pushes, five for the jump.
pub const STUB_BYTES: u64 = 9;

const _: () = assert!(STUBS <= 128, "a number that takes one byte with its sign");

/// The vector registers of a domain that starts or comes back from a system call.
static INITIAL_VECTORS: VectorState = VectorState::INITIAL;

const _: () = assert!(
    CallNumber::Call as u8 == 0
        && CallNumber::ReplyWait as u8 == 1
        && CallNumber::Wait as u8 == 2
        && CallNumber::Signal as u8 == 3,
    "the entry code compares with the second and the fourth"
);

const _: () = assert!(
    GuestHalf::Lower as u64 == 0 && GuestHalf::Both as u64 == 1,
    "the entry code compares with 0, and takes the root tables by these numbers"
);

#[allow(
    improper_ctypes,
    reason = "the other side is assembly, which knows a context by the offsets that it is told"
)]
unsafe extern "C" {
    /// The first of [`STUBS`] stubs, each [`STUB_BYTES`] long.
    pub fn trap_stubs();
    /// Where a non-maskable interrupt leads: it is counted, to be seen with a debugger, and that is
    /// all.
    pub fn nmi_entry();
    /// Where a double fault leads.
    pub fn double_fault_entry();
    /// Where a machine check leads.
    pub fn machine_check_entry();
    /// Releases the lock and leaves the kernel for the domain of this context.
    fn leave(context: *const Context) -> !;
    /// The same, for a domain that has made a call: the words come from `words`, `rax` and `r8` are given. The fourth
    /// argument is nothing, so that the fifth is in r8 already.
    fn leave_to_call(
        context: *const Context,
        words: *const Context,
        rax: u64,
        _: MaybeUninit<u64>,
        r8: u64,
    ) -> !;
    /// Releases the lock and waits for an interrupt.
    fn idle() -> !;
}

/// Leaves the kernel for the thread that the CPU has been given to.
#[inline(always)]
pub fn go(_kernel: Locked, head: &Head) -> ! {
    // SAFETY: `context` is that of the thread whose address space is loaded. The lock is held, and nothing on the stack
    // is needed any more.
    unsafe { leave(head.context) }
}

/// Leaves the kernel for such a thread, which the CPU has been given to.
#[inline(always)]
pub fn go_back_from_call(kernel: Locked, head: &Head, Return { words, rax, r8, .. }: Return) -> ! {
    let (context, words) = (head.context, &raw const *kernel.context(words));
    // SAFETY: as for `go`; a thread that calls, replies or looks for events is not interrupted while it does,
    // and a thread that waits for a message or a reply has made a call.
    unsafe { leave_to_call(context, words, rax, MaybeUninit::uninit(), r8) }
}

/// Waits for an interrupt, if nobody can run.
pub fn wait(_kernel: Locked) -> ! {
    // SAFETY: the lock is held, and nothing on the stack is needed any more.
    unsafe { idle() }
}

/// Saves the registers that a system call leaves as they are, and its arguments, into the context at `rsp`.
macro_rules! save_registers {
    () => {
        concat!(
            "mov [rsp + {rax}], rax\n",
            "mov [rsp + {rbx}], rbx\n",
            "mov [rsp + {rdx}], rdx\n",
            "mov [rsp + {rsi}], rsi\n",
            "mov [rsp + {rdi}], rdi\n",
            "mov [rsp + {rbp}], rbp\n",
            "mov [rsp + {r8}], r8\n",
            "mov [rsp + {r9}], r9\n",
            "mov [rsp + {r10}], r10\n",
            "mov [rsp + {r12}], r12\n",
            "mov [rsp + {r13}], r13\n",
            "mov [rsp + {r14}], r14\n",
            "mov [rsp + {r15}], r15\n",
        )
    };
}

/// Saves all that [`save_registers`] does not.
macro_rules! save_the_rest {
    () => {
        concat!(
            "mov [rsp + {rcx}], rcx\n",
            "mov [rsp + {r11}], r11\n",
            "mov qword ptr [rsp + {interrupted}], 1\n",
            "mov eax, -1\n",
            "xsave64 [rsp + {vectors}]\n",
        )
    };
}

/// Exchanges the base of `gs` outside of the kernel with that of the other half, of the guest at `rsp`. Uses `rax`, `rcx`
/// and `rdx`. Both have been checked, or were in the register.
macro_rules! exchange_gs_bases {
    () => {
        concat!(
            "mov ecx, {kernel_gs_base}\n",
            "rdmsr\n",
            "shl rdx, 32\n",
            "or rax, rdx\n",
            "xchg rax, [rsp + {guest_other_gs}]\n",
            "mov rdx, rax\n",
            "shr rdx, 32\n",
            "wrmsr\n",
        )
    };
}

/// Loads those that are neither a message's nor an outcome's, from the context at `rdi`.
macro_rules! load_registers {
    () => {
        concat!(
            "mov rbx, [rdi + {rbx}]\n",
            "mov rbp, [rdi + {rbp}]\n",
            "mov r9, [rdi + {r9}]\n",
            "mov r12, [rdi + {r12}]\n",
            "mov r13, [rdi + {r13}]\n",
            "mov r14, [rdi + {r14}]\n",
            "mov r15, [rdi + {r15}]\n",
        )
    };
}

global_asm!(
    ".text",
    ".balign 64",
    "syscall_entry:",
    "swapgs",
    "mov gs:[{cpu_scratch}], rsp",
    "mov rsp, gs:[{cpu_context}]",
    save_registers!(),
    "mov [rsp + {rip}], rcx",
    "mov [rsp + {rflags}], r11",
    "mov rcx, gs:[{cpu_scratch}]",
    "mov [rsp + {rsp}], rcx",
    "mov rdi, gs:[{cpu_self}]",
    "mov rsp, [rdi + {cpu_stack}]",
    // The most frequent calls have functions of their own.
    "cmp al, {reply_wait}",
    "jb 9f",
    "je 8f",
    "cmp al, {signal}",
    "je 10f",
    "jb 12f",
    "cmp al, {guest_enter}",
    "je 13f",
    "call {on_call}",
    "10: call {on_signal}",
    "12: call {on_wait}",
    "13: call {on_guest_enter}",
    "8: call {on_reply_wait}",
    "9: call {on_gate_call}",

    // What a guest had in rcx and r11 is gone already, with the instruction.
    ".balign 64",
    "guest_syscall_entry:",
    "swapgs",
    "mov gs:[{cpu_scratch}], rsp",
    "mov rsp, gs:[{cpu_context}]",
    "cmp dword ptr [rsp + {guest_is_open}], 0",
    "jne 20f",
    "30:",
    save_registers!(),
    "mov [rsp + {rip}], rcx",
    "mov [rsp + {rflags}], r11",
    save_the_rest!(),
    "mov rcx, gs:[{cpu_scratch}]",
    "mov [rsp + {rsp}], rcx",
    "mov rdi, gs:[{cpu_self}]",
    "mov rsp, [rdi + {cpu_stack}]",
    "call {on_guest_call}",

    // The halves of this guest are switched here. Nothing is decided, and no lock is needed: all that is touched is the
    // CPU's own while the guest runs.
    "20: cmp dword ptr [rsp + {guest_half}], 0",
    "jne 21f",
    // A call of the lower half: the words say where from.
    "mov [rsp + {guest_kept}], rax",
    "mov [rsp + {guest_kept} + 8], rdx",
    "mov rax, [rsp + {guest_words}]",
    "mov [rax + {switch_rip}], rcx",
    "mov [rax + {switch_rflags}], r11",
    "mov dword ptr [rsp + {guest_half}], 1",
    "mov rax, [rsp + {guest_roots} + 8]",
    "mov gs:[{cpu_loaded}], rax",
    "mov cr3, rax",
    exchange_gs_bases!(),
    "mov rax, [rsp + {guest_kept}]",
    "mov rdx, [rsp + {guest_kept} + 8]",
    "mov rcx, [rsp + {guest_call}]",
    "25: mov r11d, {flags_fixed}",
    "mov rsp, gs:[{cpu_scratch}]",
    "swapgs",
    "sysretq",
    // Where it comes from goes before what it says: at the site of a return, eax is the program's.
    "21: cmp rcx, [rsp + {guest_site}]",
    "je 22f",
    // One of the numbers: the words say where from. A bit of memory is found however far away it is, so there are no more.
    "cmp eax, 63",
    "ja 30b",
    "bt dword ptr [rsp + {guest_numbers}], eax",
    "jnc 30b",
    "mov r11, [rsp + {guest_words}]",
    "mov [r11 + {switch_caller}], rcx",
    "mov rcx, [rsp + {guest_back}]",
    "jmp 25b",
    // A return to the lower half, as the words say. Each is read once: others may change it.
    "22: mov [rsp + {guest_kept}], rax",
    "mov [rsp + {guest_kept} + 8], rdx",
    "mov rdx, [rsp + {guest_words}]",
    "mov rax, [rdx + {switch_rip}]",
    "mov [rsp + {guest_frame}], rax",
    "shr rax, {lower_bits}",
    "jnz 23f",
    "mov eax, [rdx + {switch_rflags}]",
    "and eax, {flags_guest}",
    "or eax, {flags_fixed}",
    "mov [rsp + {guest_frame} + 16], rax",
    "mov rax, [rdx + {switch_rsp}]",
    "mov [rsp + {guest_frame} + 24], rax",
    "mov rax, [rdx + {switch_rcx}]",
    "mov [rsp + {guest_kept} + 16], rax",
    "mov r11, [rdx + {switch_r11}]",
    "mov dword ptr [rsp + {guest_half}], 0",
    "mov rax, [rsp + {guest_roots}]",
    "mov gs:[{cpu_loaded}], rax",
    "mov cr3, rax",
    exchange_gs_bases!(),
    "mov rax, [rsp + {guest_kept}]",
    "mov rdx, [rsp + {guest_kept} + 8]",
    "mov rcx, [rsp + {guest_kept} + 16]",
    "lea rsp, [rsp + {guest_frame}]",
    "swapgs",
    "iretq",
    "23: mov rax, [rsp + {guest_kept}]",
    "mov rdx, [rsp + {guest_kept} + 8]",
    "jmp 30b",

    // rdi: the context to go on with.
    ".globl leave",
    "leave:",
    "cmp qword ptr [rdi + {interrupted}], 0",
    "jne 2f",
    "mov rsi, rdi",
    "mov rdx, [rdi + {rax}]",
    "mov r8, [rdi + {r8}]",
    // The same, for a domain that has made a call. rsi: in which context its words are; rdx: what it finds in
    // rax; r8 is as it finds it. `eax`: all states that XCR0 enables; they are in the low half, so what `edx` holds
    // does not matter.
    ".globl leave_to_call",
    "leave_to_call:",
    "mov eax, -1",
    "xrstor64 [rip + {initial}]",
    "mov rax, rdx",
    load_registers!(),
    "mov rcx, [rdi + {rip}]",
    "mov r11, [rdi + {rflags}]",
    "mov rsp, [rdi + {rsp}]",
    "mov rdx, [rsi + {rdx}]",
    "mov r10, [rsi + {r10}]",
    "mov rdi, [rsi + {rdi}]",
    "mov rsi, [rsi + {rsi}]",
    "mov dword ptr [rip + {lock}], 0",
    "swapgs",
    "sysretq",

    // It was interrupted: everything comes back, by way of an interrupt frame.
    "2: mov qword ptr [rdi + {interrupted}], 0",
    "mov eax, -1",
    "xrstor64 [rdi + {vectors}]",
    "push {user_data}",
    "push [rdi + {rsp}]",
    "push [rdi + {rflags}]",
    "push {user_code}",
    "push [rdi + {rip}]",
    load_registers!(),
    "mov rax, [rdi + {rax}]",
    "mov rcx, [rdi + {rcx}]",
    "mov rdx, [rdi + {rdx}]",
    "mov rsi, [rdi + {rsi}]",
    "mov r8, [rdi + {r8}]",
    "mov r10, [rdi + {r10}]",
    "mov r11, [rdi + {r11}]",
    "mov rdi, [rdi + {rdi}]",
    "mov dword ptr [rip + {lock}], 0",
    "swapgs",
    "iretq",

    // Nobody can run. The interrupt that ends this finds an empty stack and nothing to save.
    ".globl idle",
    "idle: mov rsp, gs:[{cpu_stack}]",
    "mov dword ptr [rip + {lock}], 0",
    "sti",
    "4: hlt",
    "jmp 4b",

    // Exceptions 8, 10 to 14, 17, 21, 29 and 30 push an error code; for the others, 0 stands in.
    ".balign 16",
    ".globl trap_stubs",
    "trap_stubs:",
    ".set vector, 0",
    ".rept {stubs}",
    ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)",
    ".if !(vector == 29 || vector == 30)",
    "push 0",
    ".endif",
    ".endif",
    "push vector",
    "jmp trap_common",
    ".set vector, vector + 1",
    ".org trap_stubs + {stub_bytes} * vector, 0xcc",
    ".endr",

    // On the stack: vector, error code, then what the CPU pushed: rip, cs, rflags, rsp, ss.
    "trap_common:",
    "test byte ptr [rsp + 24], 3",
    "jz 6f",
    "swapgs",
    "mov gs:[{cpu_scratch}], rsp",
    "mov rsp, gs:[{cpu_context}]",
    save_registers!(),
    save_the_rest!(),
    "mov rbx, gs:[{cpu_scratch}]",
    "mov rax, [rbx + 16]",
    "mov [rsp + {rip}], rax",
    "mov rax, [rbx + 32]",
    "mov [rsp + {rflags}], rax",
    "mov rax, [rbx + 40]",
    "mov [rsp + {rsp}], rax",
    "mov rsi, [rbx]",
    "mov rdx, [rbx + 8]",
    "mov rdi, gs:[{cpu_self}]",
    "mov rsp, [rdi + {cpu_stack}]",
    // An interrupt gate leaves the direction flag and the one that turns SMAP off as the domain had set them.
    "push 2",
    "popfq",
    "call {on_trap}",

    // From the kernel itself: an interrupt can only come while it waits for one; anything else is a bug.
    "6: mov rsi, [rsp]",
    "mov rdx, [rsp + 8]",
    "mov rcx, [rsp + 16]",
    "mov rdi, gs:[{cpu_self}]",
    "cmp rsi, 32",
    "jb 7f",
    "mov rsp, [rdi + {cpu_stack}]",
    "call {on_idle_interrupt}",
    "7: and rsp, -16",
    "call {on_kernel_fault}",
    "ud2",

    ".globl nmi_entry",
    "nmi_entry: lock inc qword ptr [rip + nmi_count]",
    "iretq",

    // These have stacks of their own and do not come back.
    ".globl double_fault_entry",
    "double_fault_entry:",
    "mov rsi, 8",
    "pop rdx",
    "jmp 5f",
    ".globl machine_check_entry",
    "machine_check_entry:",
    "mov rsi, 18",
    "xor edx, edx",
    "5: mov rcx, [rsp]",
    "xor edi, edi",
    "cld",
    "and rsp, -16",
    "call {on_kernel_fault}",
    "ud2",

    ".bss",
    ".balign 8",
    ".globl nmi_count",
    "nmi_count: .skip 8",
    ".text",
    cpu_self = const offset_of!(Head, this),
    cpu_stack = const offset_of!(Head, stack_top),
    cpu_context = const offset_of!(Head, context),
    cpu_scratch = const offset_of!(Head, scratch),
    rax = const offset_of!(Context, rax),
    rbx = const offset_of!(Context, rbx),
    rcx = const offset_of!(Context, rcx),
    rdx = const offset_of!(Context, rdx),
    rsi = const offset_of!(Context, rsi),
    rdi = const offset_of!(Context, rdi),
    rbp = const offset_of!(Context, rbp),
    r8 = const offset_of!(Context, r8),
    r9 = const offset_of!(Context, r9),
    r10 = const offset_of!(Context, r10),
    r11 = const offset_of!(Context, r11),
    r12 = const offset_of!(Context, r12),
    r13 = const offset_of!(Context, r13),
    r14 = const offset_of!(Context, r14),
    r15 = const offset_of!(Context, r15),
    rip = const offset_of!(Context, rip),
    rflags = const offset_of!(Context, rflags),
    rsp = const offset_of!(Context, rsp),
    cpu_loaded = const LOADED,
    guest_is_open = const offset_of!(GuestContext, switch.is_open),
    guest_half = const offset_of!(GuestContext, segments.half),
    guest_other_gs = const offset_of!(GuestContext, segments.other_gs_base),
    guest_frame = const offset_of!(GuestContext, switch.frame),
    guest_kept = const offset_of!(GuestContext, switch.kept),
    guest_roots = const offset_of!(GuestContext, switch.roots),
    guest_words = const offset_of!(GuestContext, switch.words),
    guest_call = const offset_of!(GuestContext, switch.call),
    guest_back = const offset_of!(GuestContext, switch.back),
    guest_site = const offset_of!(GuestContext, switch.site),
    guest_numbers = const offset_of!(GuestContext, switch.numbers),
    switch_rip = const offset_of!(GuestSwitch, rip),
    switch_rflags = const offset_of!(GuestSwitch, rflags),
    switch_rsp = const offset_of!(GuestSwitch, rsp),
    switch_rcx = const offset_of!(GuestSwitch, rcx),
    switch_r11 = const offset_of!(GuestSwitch, r11),
    switch_caller = const offset_of!(GuestSwitch, caller),
    kernel_gs_base = const KERNEL_GS_BASE,
    flags_guest = const GUEST_FLAGS,
    flags_fixed = const FIXED_FLAGS,
    lower_bits = const LOWER_BITS,
    interrupted = const offset_of!(Context, interrupted),
    vectors = const offset_of!(Context, vectors),
    user_code = const USER_CODE,
    user_data = const USER_DATA,
    stubs = const STUBS,
    stub_bytes = const STUB_BYTES,
    initial = sym INITIAL_VECTORS,
    lock = sym KERNEL,
    reply_wait = const CallNumber::ReplyWait as u8,
    signal = const CallNumber::Signal as u8,
    guest_enter = const CallNumber::GuestEnter as u8,
    on_gate_call = sym crate::enter::on_gate_call,
    on_reply_wait = sym crate::enter::on_reply_wait,
    on_signal = sym crate::enter::on_signal,
    on_wait = sym crate::enter::on_wait,
    on_guest_enter = sym crate::enter::on_guest_enter,
    on_call = sym crate::enter::on_call,
    on_guest_call = sym crate::enter::on_guest_call,
    on_trap = sym crate::enter::on_trap,
    on_idle_interrupt = sym crate::enter::on_idle_interrupt,
    on_kernel_fault = sym crate::enter::on_kernel_fault,
);
