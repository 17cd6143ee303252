//! From firmware's 64-bit mode to the kernel's entry: 32-bit protected mode without paging, as Multiboot2 has it
//! (*Multiboot2 Specification* 2.0, section 3.3).
#![expect(unsafe_code, reason = "the code that leaves 64-bit mode is no function")]

use core::{
    arch::{asm, global_asm},
    mem, slice,
};

use uefi_raw::Status;

use crate::{firmware::Firmware, pages::Pages};

/// Selectors of the table below.
const CODE: u32 = 8;
const DATA: u32 = 16;
/// What the kernel looks for in EAX.
const MAGIC: u32 = 0x36d7_6289;
/// The code's page, the end of which is its stack.
const PAGE_BYTES: usize = 4096;

// Called with its own address, the kernel's entry and the address of the information (RDI, RSI, RDX; the target's own
// convention for `sysv64`). It runs at whatever address it was copied to.
global_asm!(
    ".globl handover_start",
    "handover_start:",
    "cli",
    "cld",
    "lea rsp, [rdi + {page}]",
    "mov ebx, edx",
    "lea rax, [rip + 5f]",
    "mov [rip + 6f + 2], rax",
    "lgdt [rip + 6f]",
    "push {code}",
    "lea rax, [rip + 4f]",
    "push rax",
    "retfq",
    ".code32",
    "4:",
    "mov eax, {data}",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov ss, eax",
    // Paging off, which ends 64-bit mode; then what goes with it: EFER.LME, and in CR4 PAE (5), global pages (7), LA57
    // (12), PCID (17), CET (23).
    "mov eax, cr0",
    "and eax, 0x7fffffff",
    "mov cr0, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "and eax, 0xfffffeff",
    "wrmsr",
    "mov eax, cr4",
    "and eax, 0xff7def5f",
    "mov cr4, eax",
    "mov eax, {magic}",
    "jmp esi",
    ".code64",
    ".balign 8",
    "5: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff",
    "6: .short 23",
    ".quad 0",
    ".globl handover_end",
    "handover_end:",
    page = const PAGE_BYTES,
    code = const CODE,
    data = const DATA,
    magic = const MAGIC,
);

unsafe extern "C" {
    static handover_start: u8;
    static handover_end: u8;
}

/// The code above, in memory that 32 bits reach.
pub(crate) struct Handover(Pages);

impl Handover {
    /// Copies it there.
    pub(crate) fn new(firmware: &Firmware) -> Result<Self, Status> {
        let mut pages = Pages::anywhere(firmware, PAGE_BYTES)?;
        let start = &raw const handover_start;
        let bytes = &raw const handover_end as usize - start as usize;
        // SAFETY: the code lies between the two, and nothing writes to it.
        pages.bytes_mut()[..bytes].copy_from_slice(unsafe { slice::from_raw_parts(start, bytes) });
        Ok(Self(pages))
    }

    /// Enters the kernel. Firmware has ended.
    pub(crate) fn enter(self, entry: u32, information: u32) -> ! {
        let start = self.0.start();
        // SAFETY: these are the bytes of the code above, and that is how it is called. It runs on its own page, which
        // firmware maps where it is and lets be executed, and comes back never.
        let code: extern "sysv64" fn(u64, u64, u64) -> ! = unsafe { mem::transmute(u64::from(start)) };
        code(start.into(), entry.into(), information.into())
    }
}

/// Stops the machine.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: nothing runs behind this.
        unsafe { asm!("cli", "hlt") };
    }
}
