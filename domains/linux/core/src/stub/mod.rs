//! The stub: a few instructions in the guest's upper half, by which its system calls and their returns take the kernel of
//! the machine alone, without this domain ([`cloison_abi::guest::GuestSwitch`]).
//!
//! It lies in addresses that Xen keeps for itself, with a page of words before it, and before that the page with the virtual
//! CPU's information. What it does is what `Guest::enter` and `Guest::iret` do for a program; what is not as usual goes
//! the long way. It can be interrupted anywhere: on the way in events are held back until the guest asks for them; on the way
//! back the frame stays on the guest's stack, and the return is done here in its place.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::memory::MACHINE_TO_PHYSICAL;

use crate::grants::TABLE_FRAMES;

/// Where the guest sees its pages: the entry of a root after that of the table of frames.
pub const ADDRESS: u64 = MACHINE_TO_PHYSICAL + (1 << 39);
/// Pages there: the information on the CPU, the words, the code.
pub const PAGES: u32 = 3;
/// The shared page that is the one of words: the first after the table of grants.
pub const WORDS: u32 = 1 + TABLE_FRAMES;
/// The one of code.
pub const CODE: u32 = WORDS + 1;

/// A word beside those that the kernel knows: where the information lies.
pub const INFORMATION: u64 = 64;
/// The stack for a call.
pub const STACK: u64 = 72;
/// Its handler.
pub const HANDLER: u64 = 80;

/// Where vector registers are put when the guest is saved, in the page of words, and how many bytes there are for them.
pub const VECTORS: u64 = 1024;
/// See [`VECTORS`].
pub const VECTOR_BYTES: usize = (PAGE_BYTES - VECTORS) as usize;
/// Where in the page of code they are put there, and read.
pub const VECTOR_OFFSET: u64 = 0x100;
/// The code for that: one way, and the other.
#[rustfmt::skip]
pub const VECTOR_CODE: [u8; 12] = [
    0x48, 0x0f, 0xae, 0x27, // xsave64 [rdi]
    0x0f, 0x05, // syscall
    0x48, 0x0f, 0xae, 0x2f, // xrstor64 [rdi]
    0x0f, 0x05, // syscall
];

/// The first byte of code, as the guest sees it.
pub const START: u64 = ADDRESS + 2 * PAGE_BYTES;
/// Where a return begins.
pub const BACK: u64 = START + 0x40;
/// Behind which instruction a return is done.
pub const SITE: u64 = START + 0xc7;
const END: u64 = START + CODE_BYTES.len() as u64;

/// The code. `[word N]` lies in the page before, N bytes from its start; a jump names the byte of the code.
#[rustfmt::skip]
pub const CODE_BYTES: [u8; 0xce] = [
    0x48, 0x8b, 0x0d, 0x39, 0xf0, 0xff, 0xff, // mov rcx,[word 64]
    0xc6, 0x41, 0x01, 0x01, // mov [rcx+0x1],0x1
    0x48, 0x89, 0xe1, // mov rcx,rsp
    0x48, 0x8b, 0x25, 0x33, 0xf0, 0xff, 0xff, // mov rsp,[word 72]
    0x6a, 0x2b, // push 0x2b
    0x51, // push rcx
    0xff, 0x35, 0xea, 0xef, 0xff, 0xff, // push [word 8]
    0x6a, 0x33, // push 0x33
    0xff, 0x35, 0xda, 0xef, 0xff, 0xff, // push [word 0]
    0xff, 0x35, 0xdc, 0xef, 0xff, 0xff, // push [word 8]
    0xff, 0x35, 0xce, 0xef, 0xff, 0xff, // push [word 0]
    0xff, 0x25, 0x18, 0xf0, 0xff, 0xff, // jmp [word 80]
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, // (filled)
    0x0f, 0xb7, 0x4c, 0x24, 0x28, // movzx ecx,[rsp+0x28]
    0x83, 0xf9, 0x33, // cmp ecx,0x33
    0x74, 0x08, // je +0x52
    0x81, 0xf9, 0x33, 0xe0, 0x00, 0x00, // cmp ecx,0xe033
    0x75, 0x75, // jne +0xc7
    0x0f, 0xb7, 0x4c, 0x24, 0x40, // movzx ecx,[rsp+0x40]
    0x83, 0xc9, 0x03, // or ecx,0x3
    0x83, 0xf9, 0x2b, // cmp ecx,0x2b
    0x74, 0x08, // je +0x67
    0x81, 0xf9, 0x2b, 0xe0, 0x00, 0x00, // cmp ecx,0xe02b
    0x75, 0x60, // jne +0xc7
    0x48, 0x8b, 0x4c, 0x24, 0x20, // mov rcx,[rsp+0x20]
    0x48, 0x89, 0x0d, 0x8d, 0xef, 0xff, 0xff, // mov [word 0],rcx
    0x48, 0xc1, 0xe9, 0x2f, // shr rcx,0x2f
    0x75, 0x4e, // jne +0xc7
    0x48, 0x8b, 0x4c, 0x24, 0x30, // mov rcx,[rsp+0x30]
    0xf7, 0xc1, 0x00, 0x02, 0x00, 0x00, // test ecx,0x200
    0x74, 0x41, // je +0xc7
    0x48, 0x89, 0x0d, 0x7b, 0xef, 0xff, 0xff, // mov [word 8],rcx
    0x48, 0x8b, 0x4c, 0x24, 0x38, // mov rcx,[rsp+0x38]
    0x48, 0x89, 0x0d, 0x77, 0xef, 0xff, 0xff, // mov [word 16],rcx
    0x48, 0x8b, 0x4c, 0x24, 0x10, // mov rcx,[rsp+0x10]
    0x48, 0x89, 0x0d, 0x73, 0xef, 0xff, 0xff, // mov [word 24],rcx
    0x48, 0x8b, 0x4c, 0x24, 0x08, // mov rcx,[rsp+0x8]
    0x48, 0x89, 0x0d, 0x6f, 0xef, 0xff, 0xff, // mov [word 32],rcx
    0x48, 0x8b, 0x0d, 0x88, 0xef, 0xff, 0xff, // mov rcx,[word 64]
    0x80, 0x39, 0x00, // cmp [rcx],0x0
    0x75, 0x0a, // jne +0xc7
    0xc6, 0x41, 0x01, 0x00, // mov [rcx+0x1],0x0
    0x48, 0x8b, 0x04, 0x24, // mov rax,[rsp]
    0x0f, 0x05, // syscall
    0xb8, 0x17, 0x00, 0x00, 0x80, // mov eax,0x80000017
    0x0f, 0x05, // syscall
];

/// Where the guest's kernel is in the stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On the way in from a program: its frame is not complete.
    In,
    /// On the way back: the frame is on the stack, and `rsp` points to it.
    Back,
}

/// Which way the guest's kernel goes, if its next instruction is in the stub.
pub fn way(rip: u64) -> Option<Way> {
    match rip {
        START..BACK => Some(Way::In),
        BACK..=END => Some(Way::Back),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
