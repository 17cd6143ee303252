//! What the CPU holds for a thread while the thread does not run.
//!
//! The context of the thread that runs belongs to its CPU: from when the entry code saves the first register to when it
//! has loaded the last one, which is when it releases the kernel's lock ([`super::lock`]). Others change contexts only of
//! threads that wait or have stopped.

use cloison_rules::DomainId;

use crate::arch::space::{AddressSpace, KernelSpace};

/// Bytes for the vector and floating point registers: 512 for x87 and SSE, 64 of header, 256 for AVX (Intel
/// SDM volume 1, section 13.4). Nothing else is enabled in XCR0, so nothing else is ever saved.
pub const VECTOR_STATE_BYTES: usize = 832;

/// The vector and floating point registers, as XSAVE writes them.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct VectorState(pub [u8; VECTOR_STATE_BYTES]);

impl VectorState {
    /// All zeros: an area that nothing has been saved to.
    pub const EMPTY: Self = Self([0; VECTOR_STATE_BYTES]);

    /// The state in which every domain finds its vector registers at the start and after each system call:
    /// header bits zero, which XRSTOR reads as "all in their initial state", and the default `mxcsr`, which
    /// it loads from bytes 24 to 27 even so (Intel SDM volume 1, section 13.8.1).
    pub const INITIAL: Self = {
        let mut bytes = [0; VECTOR_STATE_BYTES];
        bytes[24] = 0x80;
        bytes[25] = 0x1f;
        Self(bytes)
    };
}

/// The general registers of a thread, how to go back to it, and what else the CPU needs when it does. The entry code knows the layout by
/// `offset_of`.
#[derive(Clone)]
#[repr(C)]
pub struct Context {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub rsp: u64,
    /// 1 from an interrupt or exception until the domain goes on: its vector registers are in `vectors`. Else
    /// 0: it makes a system call, or has not started, and they start afresh.
    pub interrupted: u64,
    /// Physical address of the domain's page tables; 0 while it has none.
    pub(super) root: u64,
    /// Whether the domain may use I/O ports.
    /// The domain that the thread is part of.
    pub home: Option<DomainId>,
    pub has_ports: bool,
    _align: [u64; 3],
    pub vectors: VectorState,
}

const _: () =
    assert!(core::mem::offset_of!(Context, vectors).is_multiple_of(64), "XSAVE needs an aligned area");
const _: () =
    assert!(size_of::<Context>().is_power_of_two(), "finding one in the table takes fewer instructions");

/// Interrupts on, and the bit that is always one.
const RFLAGS_START: u64 = 0x202;

impl Context {
    /// The context of no thread.
    pub const EMPTY: Self = Self {
        rax: 0,
        rbx: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        rbp: 0,
        r8: 0,
        r9: 0,
        r10: 0,
        r11: 0,
        r12: 0,
        r13: 0,
        r14: 0,
        r15: 0,
        rip: 0,
        rflags: 0,
        rsp: 0,
        interrupted: 0,
        home: None,
        root: 0,
        has_ports: false,
        _align: [0; 3],
        vectors: VectorState::EMPTY,
    };

    /// Makes this the context of a thread before its first instruction: `argument` in `rdi`, everything else
    /// zero.
    pub fn start(&mut self, entry: u64, stack: u64, argument: u64) {
        let Self { home, root, has_ports, .. } = *self;
        *self = Self {
            rip: entry,
            rsp: stack,
            rdi: argument,
            rflags: RFLAGS_START,
            home,
            root,
            has_ports,
            ..Self::EMPTY
        };
    }

    /// From now on the domain runs in this address space.
    pub fn bind(&mut self, space: &AddressSpace) {
        self.root = space.root();
    }

    /// Its address space ends: where it ran now, it would find nothing but the kernel, and fault.
    pub fn unbind(&mut self, kernel: &KernelSpace) {
        self.root = kernel.root().address();
    }

    /// The outcome of a call: the number in the low half of `rax`, the label in the high half.
    #[inline(always)]
    pub fn set_outcome(&mut self, status: i32, label: u32) {
        self.rax = u64::from(status as u32) | u64::from(label) << 32;
    }

    /// What a domain finds in `rax` that gets a message from this one: success, and the label.
    #[inline(always)]
    pub fn message_outcome(&self) -> u64 {
        self.rax & !0xffff_ffff
    }

    /// Results 0 to 3 of a call, or the words of a message.
    #[inline(always)]
    pub fn set_words(&mut self, words: [u64; 4]) {
        [self.rdi, self.rsi, self.rdx, self.r10] = words;
    }

    /// Arguments 0 to 3 of a call, or the words of a message.
    #[inline(always)]
    pub fn words(&self) -> [u64; 4] {
        [self.rdi, self.rsi, self.rdx, self.r10]
    }

    /// Bits 32 to 63 of `rax`.
    #[inline(always)]
    pub fn label(&self) -> u32 {
        (self.rax >> 32) as u32
    }

    /// Sets bits 32 to 63 of `rax`.
    pub fn set_label(&mut self, label: u32) {
        self.rax = self.rax & 0xffff_ffff | u64::from(label) << 32;
    }

    /// Bits 8 to 15 of `rax`.
    #[inline(always)]
    pub fn slot(&self) -> u64 {
        self.rax >> 8 & 0xff
    }

    /// Lets the domain make its system call again when it runs next: `syscall` is two bytes long, and the
    /// arguments are where they were (a call that goes on from where it got to has changed one).
    pub fn repeat_call(&mut self) {
        self.rip = self.rip.wrapping_sub(2);
    }
}
