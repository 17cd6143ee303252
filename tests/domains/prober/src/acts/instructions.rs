//! Instructions that are the kernel's alone.
#![allow(unsafe_code, reason = "the prober does on purpose what no program may do")]

use core::arch::asm;

use cloison_abi::FaultKind::{
    Debug, DivideError, FloatingPoint, InvalidInstruction, OtherException, Privileged, ReadDenied,
};

use super::{
    Act,
    Deed::{Emulated, Instruction},
    act,
};
use crate::world::call_with_flags;

/// A function that executes instructions. They may use the registers that a function may, and what lies up to
/// 64 bytes below the stack pointer.
macro_rules! run {
    ($($line:literal),+ $(,)?) => {
        || {
            // SAFETY: none: the CPU must refuse one of these. If it does not, the test has failed; the
            // watcher says so if it still can.
            unsafe { asm!($($line),+, clobber_abi("sysv64")) }
        }
    };
}

// QEMU 7.2 reads the stack of a far return with the kernel's rights, which SMAP then refuses: hence
// `ReadDenied`. It imitates an AMD CPU, on which `sysenter` and `sysexit` do not exist in 64-bit mode, and
// takes 0xf1 for no instruction. It raises no SIMD exceptions, so none is tried. QEMU 10 carries out `invd` and
// `wbinvd` at any level.
pub(crate) const ACTS: &[Act] = &[
    act("the CPU cannot be halted", Instruction(&[Privileged], run!("hlt"))),
    act("interrupts cannot be turned off", Instruction(&[Privileged], run!("cli"))),
    act("interrupts cannot be turned on", Instruction(&[Privileged], run!("sti"))),
    act("the segment table cannot be replaced", Instruction(&[Privileged], run!("lgdt [rsp - 16]"))),
    act("the interrupt table cannot be replaced", Instruction(&[Privileged], run!("lidt [rsp - 16]"))),
    act(
        "the local segment table cannot be replaced",
        Instruction(&[Privileged], run!("xor eax, eax", "lldt ax")),
    ),
    act("there is no local segment table", Instruction(&[Privileged], run!("mov eax, 7", "mov fs, ax"))),
    act("the task register cannot be loaded", Instruction(&[Privileged], run!("mov eax, 0x40", "ltr ax"))),
    act("CR0 cannot be read", Instruction(&[Privileged], run!("mov rax, cr0"))),
    act("CR3 cannot be read", Instruction(&[Privileged], run!("mov rax, cr3"))),
    act("CR3 cannot be written", Instruction(&[Privileged], run!("xor eax, eax", "mov cr3, rax"))),
    act("CR4 cannot be written", Instruction(&[Privileged], run!("xor eax, eax", "mov cr4, rax"))),
    act(
        "the task priority cannot be written",
        Instruction(&[Privileged], run!("xor eax, eax", "mov cr8, rax")),
    ),
    act("debug registers cannot be read", Instruction(&[Privileged], run!("mov rax, dr7"))),
    act("debug registers cannot be written", Instruction(&[Privileged], run!("mov eax, 1", "mov dr7, rax"))),
    act("the task-switched flag cannot be cleared", Instruction(&[Privileged], run!("clts"))),
    act(
        "the machine status word cannot be loaded",
        Instruction(&[Privileged], run!("xor eax, eax", "lmsw ax")),
    ),
    act(
        "model-specific registers cannot be read",
        Instruction(&[Privileged], run!("mov ecx, 0xc0000080", "rdmsr")),
    ),
    act(
        "model-specific registers cannot be written",
        Instruction(&[Privileged], run!("mov ecx, 0xc0000082", "xor eax, eax", "xor edx, edx", "wrmsr")),
    ),
    act("performance counters cannot be read", Instruction(&[Privileged], run!("xor ecx, ecx", "rdpmc"))),
    act("translations cannot be flushed", Instruction(&[Privileged], run!("invlpg [rsp]"))),
    act("caches cannot be thrown away", Emulated(run!("invd"))),
    act("caches cannot be written back", Emulated(run!("wbinvd"))),
    act("the kernel's GS base cannot be swapped in", Instruction(&[Privileged], run!("swapgs"))),
    act("sysret is the kernel's", Instruction(&[Privileged], run!("lea rcx, [rip]", "sysretq"))),
    act(
        "sysexit is the kernel's",
        Instruction(&[Privileged, InvalidInstruction], run!("lea rdx, [rip]", "mov rcx, rsp", "sysexit")),
    ),
    act("sysenter leads nowhere", Instruction(&[Privileged, InvalidInstruction], run!("sysenter"))),
    act(
        "extended state cannot be enabled",
        Instruction(&[Privileged], run!("xor ecx, ecx", "xor edx, edx", "mov eax, 1", "xsetbv")),
    ),
    act("the segment table's address is hidden", Instruction(&[Privileged], run!("sgdt [rsp - 16]"))),
    act("the interrupt table's address is hidden", Instruction(&[Privileged], run!("sidt [rsp - 16]"))),
    act("the local segment table's selector is hidden", Instruction(&[Privileged], run!("sldt rax"))),
    act("the task register is hidden", Instruction(&[Privileged], run!("str rax"))),
    act("the machine status word is hidden", Instruction(&[Privileged], run!("smsw rax"))),
    act("a foreign port cannot be read", Instruction(&[Privileged], run!("in al, 0x60"))),
    act("a foreign port cannot be written", Instruction(&[Privileged], run!("xor eax, eax", "out 0x64, al"))),
    act("the serial port is the console's", Instruction(&[Privileged], run!("mov edx, 0x3f8", "in al, dx"))),
    act("the exit port is the kernel's", Instruction(&[Privileged], run!("mov eax, 0x10", "out 0xf4, al"))),
    act(
        "the PCI configuration ports are nobody's",
        Instruction(&[Privileged], run!("mov edx, 0xcf8", "xor eax, eax", "out dx, eax")),
    ),
    act("the last port is nobody's", Instruction(&[Privileged], run!("mov edx, 0xffff", "in al, dx"))),
    act(
        "a domain cannot raise its own right to ports",
        Instruction(
            &[Privileged],
            run!("pushfq", "or dword ptr [rsp], 0x3000", "popfq", "mov edx, 0x3f8", "in al, dx"),
        ),
    ),
    act(
        "string output reaches no foreign port",
        Instruction(&[Privileged], run!("mov edx, 0x3f8", "mov rsi, rsp", "outsb")),
    ),
    act("the NMI's vector cannot be called", Instruction(&[Privileged], run!("int 2"))),
    act("the double fault's vector cannot be called", Instruction(&[Privileged], run!("int 8"))),
    act("the page fault's vector cannot be called", Instruction(&[Privileged], run!("int 14"))),
    act("interrupt vectors cannot be called", Instruction(&[Privileged], run!("int 0x20"))),
    act("vectors without an entry cannot be called", Instruction(&[Privileged], run!("int 0x80"))),
    act("the last vector cannot be called", Instruction(&[Privileged], run!("int 0xff"))),
    act(
        "a far return leads to no kernel code",
        Instruction(&[Privileged, ReadDenied], run!("lea rax, [rip]", "push 8", "push rax", "retfq")),
    ),
    act(
        "an interrupt return leads to no kernel code",
        Instruction(
            &[Privileged, ReadDenied],
            run!(
                "mov rcx, rsp",
                "lea rax, [rip]",
                "push 0x10",
                "push rcx",
                "push 2",
                "push 8",
                "push rax",
                "iretq"
            ),
        ),
    ),
    act(
        "the kernel's data segment cannot be loaded",
        Instruction(&[Privileged], run!("mov eax, 0x10", "mov ds, ax")),
    ),
    act(
        "the kernel's data segment makes no stack",
        Instruction(&[Privileged], run!("mov eax, 0x10", "mov ss, ax")),
    ),
    act(
        "an address that is not canonical cannot be read",
        Instruction(&[Privileged], run!("mov rax, 0x800000000000", "mov al, [rax]")),
    ),
    act(
        "an address that is not canonical cannot be called",
        Instruction(&[Privileged], run!("mov rax, 0x800000000000", "call rax")),
    ),
    act(
        "a stack that is not canonical is the domain's own problem",
        Instruction(
            &[OtherException, Privileged],
            run!("mov rax, 0x900000000000", "mov rsp, rax", "push rax"),
        ),
    ),
    act("supervisor access cannot be allowed", Instruction(&[InvalidInstruction], run!("stac"))),
    act("the hypervisor's door is closed", Instruction(&[InvalidInstruction], run!("vmmcall"))),
    act("guests cannot be entered", Instruction(&[InvalidInstruction], run!("vmrun rax"))),
    act("the CPU cannot be put to sleep", Instruction(&[InvalidInstruction], run!("monitor"))),
    act("an invalid instruction is a fault", Instruction(&[InvalidInstruction], run!("ud2"))),
    act("a breakpoint is a fault", Instruction(&[Debug], run!("int3"))),
    act(
        "a breakpoint behind a change of stacks is a fault",
        Instruction(&[Debug], run!("mov ecx, ss", "mov ss, ecx", "int3")),
    ),
    act("a debug trap is a fault", Instruction(&[Debug, InvalidInstruction], run!(".byte 0xf1"))),
    act(
        "a single step is a fault",
        Instruction(&[Debug], run!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "nop", "nop")),
    ),
    act(
        "a single step at a call is a fault of who calls",
        Instruction(&[Debug], || {
            call_with_flags(1 << 8);
        }),
    ),
    act(
        "a single step at an exception steps through no kernel code",
        Instruction(&[InvalidInstruction], run!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "ud2")),
    ),
    act("an exception clears the direction flag", Instruction(&[InvalidInstruction], run!("std", "ud2"))),
    act(
        "an exception clears the alignment flag, which opens user memory",
        Instruction(&[InvalidInstruction], run!("pushfq", "or dword ptr [rsp], 0x40000", "popfq", "ud2")),
    ),
    act(
        "an exception bears the nested-task flag",
        Instruction(&[InvalidInstruction], run!("pushfq", "or dword ptr [rsp], 0x4000", "popfq", "ud2")),
    ),
    act(
        "division by zero is a fault",
        Instruction(&[DivideError], run!("xor ecx, ecx", "mov eax, 1", "cdq", "div ecx")),
    ),
    act(
        "an unmasked x87 exception is a fault",
        Instruction(
            &[FloatingPoint],
            run!(
                "fninit",
                "mov word ptr [rsp - 8], 0x37b",
                "fldcw [rsp - 8]",
                "fld1",
                "fldz",
                "fdivp",
                "fwait"
            ),
        ),
    ),
];
