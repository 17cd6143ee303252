//! From the boot loader to 64-bit mode.
//!
//! GRUB enters at `_boot` in 32-bit protected mode without paging (Multiboot2 specification 2.0, section
//! 3.3). The code below maps the first 4 GiB twice with 2-MiB pages, at 0 and at `KERNEL_BASE`, turns on long
//! mode and SSE, and calls [`enter`]. These tables live until [`super::paging`] has built the
//! real ones.

use core::arch::global_asm;

use cloison_abi::limits::KERNEL_BASE;

use super::cpu::Cpu;

/// PML4 slot of the kernel's address space.
const KERNEL_SLOT: u64 = KERNEL_BASE >> 39 & 0x1ff;

/// Where the boot loader's information lies. The boot code makes the one value of this type.
pub struct Information(u64);

impl Information {
    pub(super) fn address(&self) -> u64 {
        self.0
    }
}

/// What the kernel begins with. The boot code makes the one value of this type.
pub struct Boot {
    /// What the boot loader says.
    pub information: Information,
    /// The CPU on which the kernel runs.
    pub cpu: &'static mut Cpu,
    /// The time-stamp counter at the first instruction.
    pub entered: u64,
}

/// Called by the boot code, once, on the kernel's own stack.
extern "C" fn enter(information: u64, entered: u64) -> ! {
    #[cfg(feature = "self-attack")]
    super::attack::open_ways_in();
    // SAFETY: nothing else has run, or runs.
    let cpu = unsafe { Cpu::init() };
    crate::boot::kernel_main(Boot { information: Information(information), cpu, entered })
}

global_asm!(
    // The header that the boot loader looks for: magic, architecture i386, length, checksum; then the tag
    // that asks for modules to be aligned to pages, and the end tag.
    ".section .boot.header, \"a\"",
    ".balign 8",
    "boot_header:",
    ".long 0xe85250d6, 0, boot_header_end - boot_header",
    ".long -(0xe85250d6 + (boot_header_end - boot_header))",
    ".short 6, 0",
    ".long 8",
    ".short 0, 0",
    ".long 8",
    "boot_header_end:",

    ".section .boot, \"ax\"",
    ".code32",
    ".globl _boot",
    "_boot:",
    "mov ebp, eax",
    "rdtsc",
    // The counter at entry, for the figure of how long the boot takes.
    "mov esi, eax",
    "mov edi, edx",
    "cmp ebp, 0x36d76289",
    "jne boot_failed",
    "mov esp, offset boot_stack_top",
    // CPUID 8000_0001h EDX bit 29: long mode.
    "mov ebp, ebx",
    "mov eax, 0x80000001",
    "cpuid",
    "test edx, 1 << 29",
    "jz boot_failed",

    // 2048 pages of 2 MiB: present, writable, large.
    "mov ecx, 0",
    "mov eax, 0x83",
    "2: mov [boot_directories + ecx * 8], eax",
    "add eax, 0x200000",
    "inc ecx",
    "cmp ecx, 2048",
    "jb 2b",
    "mov eax, offset boot_directories + 3",
    "mov ecx, 0",
    "3: mov [boot_pointers + ecx * 8], eax",
    "add eax, 0x1000",
    "inc ecx",
    "cmp ecx, 4",
    "jb 3b",
    "mov eax, offset boot_pointers + 3",
    "mov [boot_root], eax",
    "mov [boot_root + {kernel_slot} * 8], eax",

    // CR4: PAE (5), OSFXSR (9), OSXMMEXCPT (10). EFER: long mode (8). CR0: MP (1), not EM (2), WP (16), PG
    // (31).
    "mov eax, cr4",
    "or eax, 0x620",
    "mov cr4, eax",
    "mov eax, offset boot_root",
    "mov cr3, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, 1 << 8",
    "wrmsr",
    "mov eax, cr0",
    "and eax, ~4",
    "or eax, 0x80010002",
    "mov cr0, eax",
    "lgdt [boot_gdt_pointer]",
    "push 8",
    "mov eax, offset boot_long_mode",
    "push eax",
    "retf",

    // There is no console to speak of yet: say it on the first serial line, as firmware has left it, and
    // stop.
    "boot_failed:",
    "mov esi, offset boot_message",
    "4: lodsb",
    "test al, al",
    "jz 5f",
    "mov dx, 0x3f8",
    "out dx, al",
    "jmp 4b",
    "5: cli",
    "hlt",
    "jmp 5b",
    "boot_message: .asciz \"kernel | this needs a 64-bit CPU and a Multiboot2 boot loader\\n\"",

    ".code64",
    "boot_long_mode:",
    "xor eax, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov fs, eax",
    "mov gs, eax",
    "lea rsp, [boot_stack_top]",
    "shl rdi, 32",
    "or rsi, rdi",
    "mov edi, ebp",
    "xor ebp, ebp",
    "movabs rax, offset {main}",
    "movabs rsp, offset {stack}",
    "add rsp, {stack_bytes}",
    "call rax",
    "ud2",

    ".balign 8",
    "boot_gdt: .quad 0, 0x00209a0000000000",
    "boot_gdt_pointer: .short 15",
    ".long boot_gdt",

    ".section .boot.tables, \"aw\", @nobits",
    ".balign 4096",
    "boot_root: .skip 4096",
    "boot_pointers: .skip 4096",
    "boot_directories: .skip 4 * 4096",
    ".skip 256",
    "boot_stack_top:",
    ".text",
    kernel_slot = const KERNEL_SLOT,
    main = sym enter,
    stack = sym super::cpu::KERNEL_STACK,
    stack_bytes = const super::cpu::STACK_BYTES + super::cpu::GUARD_BYTES,
);
