//! The stub: a few instructions in the guest's upper half, by which its system calls and their returns, and the two calls of
//! its kernel that are made most often, take the kernel of the machine alone, without this domain
//! ([`cloison_abi::guest::GuestSwitch`]).
//!
//! It lies in addresses that Xen keeps for itself, with a page of words before it, and before that the page with the virtual
//! CPU's information. What it does is what `Guest::enter` and `Guest::iret` do for a program; what is not as usual goes
//! the long way. It can be interrupted anywhere: on the way in events are held back until the guest asks for them; on the way
//! back the frame stays on the guest's stack, and the return is done here in its place; of a call all arguments stay where
//! they are, and it is made here.
//!
//! A store to a page table is done there if there was nothing before, for then nothing that is shown has to go, and if what
//! comes is of the guest's memory. The stub sees that memory once more, to write to tables; so can the guest's kernel, which
//! harms nobody else by it.

use core::mem::offset_of;

use cloison_abi::guest::GuestSwitch;
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::memory::MACHINE_TO_PHYSICAL;

use crate::grants::TABLE_FRAMES;
use crate::machine::Memory;

/// Where the guest sees its pages: the entry of a root after that of the table of frames.
pub const ADDRESS: u64 = MACHINE_TO_PHYSICAL + (1 << 39);
/// Pages there: the information on the CPU, the words, the code.
pub const PAGES: u32 = 3;
/// The shared page that is the one of words: the first after the table of grants.
pub const WORDS: u32 = 1 + TABLE_FRAMES;
/// The one of code.
pub const CODE: u32 = WORDS + 1;

/// Where a call of the guest's kernel comes from, a word that the kernel writes.
pub const CALLER: u64 = offset_of!(GuestSwitch, caller) as u64;
/// A word beside those that the kernel knows: where the information lies.
pub const INFORMATION: u64 = 64;
/// The stack for a call.
pub const STACK: u64 = 72;
/// Its handler.
pub const HANDLER: u64 = 80;
/// Bytes of the guest's memory, and where it is seen.
pub const BYTES: u64 = 88;
/// See [`BYTES`].
pub const WINDOW: u64 = 96;
/// Returns take the long way, unless it is 0.
pub const LONG_RETURN: u64 = 104;
/// Entries of page tables that were stored here.
pub const STORES: u64 = 112;
/// Stacks that were named here.
pub const STACKS: u64 = 120;

/// Where the stub sees the guest's memory: the entry of a root after its own.
pub const MEMORY: u64 = ADDRESS + (1 << 39);

/// Where vector registers are put when the guest is saved, in the page of words, and how many bytes there are for them.
pub const VECTORS: u64 = 1024;
/// See [`VECTORS`].
pub const VECTOR_BYTES: usize = (PAGE_BYTES - VECTORS) as usize;
/// Where in the page of code they are put there, and read.
pub const VECTOR_OFFSET: u64 = 0x200;
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
/// Where a call of the guest's kernel begins, and its return.
pub const CALLED: u64 = START + 0x40;
/// Where a call has been done, but for the answer.
const DONE: u64 = START + 0xbe;
/// Where one takes the long way.
const LONG: u64 = START + 0xcd;
/// Where a return begins.
const BACK: u64 = START + 0xe0;
/// Behind which instruction a return is done.
pub const SITE: u64 = START + 0x170;
/// What the number of a call has beside it on the long way, so that it does not lead here again.
pub const LONG_NUMBER: u64 = 1 << 31;
const END: u64 = START + CODE_BYTES.len() as u64;

/// The code. `[word N]` lies in the page before, N bytes from its start; a jump names the byte of the code.
#[rustfmt::skip]
pub const CODE_BYTES: [u8; 0x177] = [
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
    0x83, 0xf8, 0x17, // cmp eax,0x17
    0x0f, 0x84, 0x97, 0x00, 0x00, 0x00, // je +0xe0
    0x83, 0xf8, 0x01, // cmp eax,0x1
    0x74, 0x23, // je +0x71
    0x48, 0x89, 0xf1, // mov rcx,rsi
    0x48, 0xc1, 0xf9, 0x2f, // sar rcx,0x2f
    0x48, 0xff, 0xc1, // inc rcx
    0x75, 0x73, // jne +0xcd
    0x48, 0x89, 0xf1, // mov rcx,rsi
    0x48, 0x83, 0xe1, 0xf0, // and rcx,-0x10
    0x48, 0x89, 0x0d, 0xe0, 0xef, 0xff, 0xff, // mov [word 72],rcx
    0x48, 0xff, 0x05, 0x09, 0xf0, 0xff, 0xff, // inc [word 120]
    0xeb, 0x54, // jmp +0xc5
    0x48, 0x83, 0xfe, 0x01, // cmp rsi,0x1
    0x75, 0x56, // jne +0xcd
    0x48, 0x85, 0xd2, // test rdx,rdx
    0x75, 0x51, // jne +0xcd
    0x41, 0x81, 0xfa, 0xf0, 0x7f, 0x00, 0x00, // cmp r10d,0x7ff0
    0x75, 0x48, // jne +0xcd
    0x48, 0x8b, 0x0f, // mov rcx,[rdi]
    0xf6, 0xc1, 0x07, // test cl,0x7
    0x75, 0x40, // jne +0xcd
    0x48, 0x3b, 0x0d, 0xc4, 0xef, 0xff, 0xff, // cmp rcx,[word 88]
    0x73, 0x37, // jae +0xcd
    0x4c, 0x8b, 0x5f, 0x08, // mov r11,[rdi+0x8]
    0x49, 0xc1, 0xe3, 0x0c, // shl r11,0xc
    0x49, 0xc1, 0xeb, 0x0c, // shr r11,0xc
    0x4c, 0x3b, 0x1d, 0xaf, 0xef, 0xff, 0xff, // cmp r11,[word 88]
    0x73, 0x22, // jae +0xcd
    0x4c, 0x8b, 0x5f, 0x08, // mov r11,[rdi+0x8]
    0x48, 0x03, 0x0d, 0xaa, 0xef, 0xff, 0xff, // add rcx,[word 96]
    0xf6, 0x01, 0x01, // test [rcx],0x1
    0x75, 0x12, // jne +0xcd
    0x4c, 0x89, 0x19, // mov [rcx],r11
    0x48, 0xff, 0x05, 0xab, 0xef, 0xff, 0xff, // inc [word 112]
    0x31, 0xc0, // xor eax,eax
    0xff, 0x25, 0x5b, 0xef, 0xff, 0xff, // jmp [word 40]
    0x0d, 0x00, 0x00, 0x00, 0x80, // or eax,0x80000000
    0x0f, 0x05, // syscall
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, // (filled)
    0x0f, 0xb7, 0x4c, 0x24, 0x28, // movzx ecx,[rsp+0x28]
    0x83, 0xf9, 0x33, // cmp ecx,0x33
    0x74, 0x08, // je +0xf2
    0x81, 0xf9, 0x33, 0xe0, 0x00, 0x00, // cmp ecx,0xe033
    0x75, 0x7e, // jne +0x170
    0x0f, 0xb7, 0x4c, 0x24, 0x40, // movzx ecx,[rsp+0x40]
    0x83, 0xc9, 0x03, // or ecx,0x3
    0x83, 0xf9, 0x2b, // cmp ecx,0x2b
    0x74, 0x08, // je +0x107
    0x81, 0xf9, 0x2b, 0xe0, 0x00, 0x00, // cmp ecx,0xe02b
    0x75, 0x69, // jne +0x170
    0x48, 0x8b, 0x4c, 0x24, 0x20, // mov rcx,[rsp+0x20]
    0x48, 0x89, 0x0d, 0xed, 0xee, 0xff, 0xff, // mov [word 0],rcx
    0x48, 0xc1, 0xe9, 0x2f, // shr rcx,0x2f
    0x75, 0x57, // jne +0x170
    0x48, 0x8b, 0x4c, 0x24, 0x30, // mov rcx,[rsp+0x30]
    0xf7, 0xc1, 0x00, 0x02, 0x00, 0x00, // test ecx,0x200
    0x74, 0x4a, // je +0x170
    0x48, 0x89, 0x0d, 0xdb, 0xee, 0xff, 0xff, // mov [word 8],rcx
    0x48, 0x8b, 0x4c, 0x24, 0x38, // mov rcx,[rsp+0x38]
    0x48, 0x89, 0x0d, 0xd7, 0xee, 0xff, 0xff, // mov [word 16],rcx
    0x48, 0x8b, 0x4c, 0x24, 0x10, // mov rcx,[rsp+0x10]
    0x48, 0x89, 0x0d, 0xd3, 0xee, 0xff, 0xff, // mov [word 24],rcx
    0x48, 0x8b, 0x4c, 0x24, 0x08, // mov rcx,[rsp+0x8]
    0x48, 0x89, 0x0d, 0xcf, 0xee, 0xff, 0xff, // mov [word 32],rcx
    0x83, 0x3d, 0x10, 0xef, 0xff, 0xff, 0x00, // cmp [word 104],0x0
    0x75, 0x16, // jne +0x170
    0x48, 0x8b, 0x0d, 0xdf, 0xee, 0xff, 0xff, // mov rcx,[word 64]
    0x80, 0x39, 0x00, // cmp [rcx],0x0
    0x75, 0x0a, // jne +0x170
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
    /// In a call: its arguments are where they were.
    Call,
    /// A call is done, but for the answer.
    Done,
    /// On the way back: the frame is on the stack, and `rsp` points to it.
    Back,
}

/// Which way the guest's kernel goes, if its next instruction is in the stub.
pub fn way(rip: u64) -> Option<Way> {
    // Nearly always it is not: one comparison says so.
    if rip.wrapping_sub(START) > END - START {
        return None;
    }
    match rip {
        START..CALLED => Some(Way::In),
        CALLED..DONE | LONG..BACK => Some(Way::Call),
        DONE..LONG => Some(Way::Done),
        BACK..=END => Some(Way::Back),
        _ => None,
    }
}

/// Where in the guest's memory a word of the stub lies.
pub fn word(memory: &impl Memory, offset: u64) -> u64 {
    memory.shared_address() + u64::from(WORDS) * PAGE_BYTES + offset
}

#[cfg(test)]
mod tests;
