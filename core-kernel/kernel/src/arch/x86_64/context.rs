//! What the CPU holds for a thread while the thread does not run.
//!
//! The context of the thread that runs belongs to its CPU: from when the entry code saves the first register to when it
//! has loaded the last one, which is when it releases the kernel's lock ([`super::lock`]). Others change contexts only of
//! threads that wait or have stopped.

use core::{
    mem::{self, offset_of},
    ops::{Index, IndexMut},
};

use cloison_abi::{
    CallError,
    capture::{CAPTURE_INTERRUPTED, CAPTURE_LAST, CAPTURE_PARTS, CAPTURE_VECTORS},
};
use cloison_rules::{
    DomainAddress, DomainId, TABLE_ENTRIES, ThreadId,
    capture::{self, MXCSR, VECTOR_WORDS},
};

use super::cpu::enabled_states;
use crate::arch::space::{AddressSpace, KernelSpace};

/// The vector and floating point registers, as XSAVE writes them. Nothing but x87, SSE and AVX is enabled in XCR0, so nothing
/// else is ever saved.
#[repr(C, align(64))]
pub(super) struct VectorState([u64; VECTOR_WORDS]);

impl VectorState {
    /// All zeros: an area that nothing has been saved to.
    const EMPTY: Self = Self([0; VECTOR_WORDS]);

    /// The state in which every domain finds its vector registers at the start and after each system call:
    /// header bits zero, which XRSTOR reads as "all in their initial state", and the default `mxcsr`, which
    /// it loads from bytes 24 to 27 even so (Intel SDM volume 1, section 13.8.1).
    pub(super) const INITIAL: Self = {
        let mut words = [0; VECTOR_WORDS];
        words[MXCSR] = 0x1f80;
        Self(words)
    };
}

/// The general registers of a thread, how to go back to it, and what else the CPU needs when it does. The entry code
/// knows the layout by `offset_of`. The registers come first, as they do in a guest's frame page.
#[repr(C)]
pub struct Context {
    pub(super) rax: u64,
    pub(super) rcx: u64,
    pub(super) rdx: u64,
    pub(super) rbx: u64,
    pub(super) rsp: u64,
    pub(super) rbp: u64,
    pub(super) rsi: u64,
    pub(super) rdi: u64,
    pub(super) r8: u64,
    pub(super) r9: u64,
    pub(super) r10: u64,
    pub(super) r11: u64,
    pub(super) r12: u64,
    pub(super) r13: u64,
    pub(super) r14: u64,
    pub(super) r15: u64,
    pub(super) rip: u64,
    pub(super) rflags: u64,
    /// 1 from an interrupt or exception until the domain goes on: its vector registers are in `vectors`. Else
    /// 0: it makes a system call, or has not started, and they start afresh.
    pub(super) interrupted: u64,
    /// Physical address of the domain's page tables, or [`IN_GUEST`].
    pub(super) root: u64,
    /// The domain that the thread is part of.
    pub(super) home: Option<DomainId>,
    /// Whether the domain may use I/O ports, or the thread runs its guest.
    pub(super) has_ports: bool,
    /// While the thread runs its guest: its own page tables, and whether its domain may use I/O ports.
    own_root: u64,
    may_use_ports: bool,
    _align: [u64; 1],
    pub(super) vectors: VectorState,
}

const _: () = assert!(offset_of!(Context, vectors).is_multiple_of(64), "XSAVE needs an aligned area");
const _: () =
    assert!(size_of::<Context>().is_power_of_two(), "finding one in the table takes fewer instructions");
const _: () = assert!(
    size_of::<Context>() == 32 * CAPTURE_PARTS as usize
        && offset_of!(Context, rip) == 32 * CAPTURE_LAST as usize
        && offset_of!(Context, vectors) == 32 * CAPTURE_VECTORS as usize,
    "a context consists of the parts that are captured"
);

/// In place of page tables, while the thread runs its guest: never those that are loaded, so that the way into the guest
/// is found where those who have ports are told from the others, and nobody else pays for it.
const IN_GUEST: u64 = 2;

/// Interrupts on, and the bit that is always one.
const RFLAGS_START: u64 = 0x202;

impl Context {
    /// The context of no thread, all zeros.
    pub(super) const EMPTY: Self = Self {
        rax: 0,
        rcx: 0,
        rdx: 0,
        rbx: 0,
        rsp: 0,
        rbp: 0,
        rsi: 0,
        rdi: 0,
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
        interrupted: 0,
        root: 0,
        home: None,
        has_ports: false,
        own_root: 0,
        may_use_ports: false,
        _align: [0; 1],
        vectors: VectorState::EMPTY,
    };

    /// Makes this the context of a thread before its first instruction: `argument` in `rdi`, everything else
    /// zero.
    pub fn start(&mut self, entry: DomainAddress, stack: DomainAddress, argument: u64) {
        let Self { home, root, has_ports, .. } = *self;
        *self = Self {
            rip: entry.get(),
            rsp: stack.get(),
            rdi: argument,
            rflags: RFLAGS_START,
            home,
            root,
            has_ports,
            ..Self::EMPTY
        };
    }

    /// Makes this the context of a new thread of a domain, which has no address space yet.
    pub fn begin(&mut self, home: DomainId) {
        *self = Self { home: Some(home), root: self.root, ..Self::EMPTY };
    }

    /// The domain that the thread is part of.
    #[inline(always)]
    pub fn home(&self) -> Option<DomainId> {
        self.home
    }

    /// From now on the domain may use I/O ports.
    pub fn allow_ports(&mut self) {
        self.has_ports = true;
    }

    /// From now on the domain runs in this address space.
    pub fn bind(&mut self, space: &AddressSpace) {
        self.root = space.root();
    }

    /// Its address space ends: where it ran now, it would find nothing but the kernel, and fault.
    pub fn unbind(&mut self, kernel: &KernelSpace) {
        self.root = kernel.root().address();
    }

    /// From now on the thread runs its guest.
    pub fn go_into_guest(&mut self) {
        (self.own_root, self.may_use_ports) = (self.root, self.has_ports);
        (self.root, self.has_ports) = (IN_GUEST, true);
    }

    /// Whether it does.
    pub fn is_in_guest(&self) -> bool {
        self.root == IN_GUEST
    }

    /// It does no more.
    pub fn come_out_of_guest(&mut self) {
        (self.root, self.has_ports) = (self.own_root, self.may_use_ports);
    }

    /// The number of a call.
    #[inline(always)]
    pub fn number(&self) -> u8 {
        self.rax as u8
    }

    /// Arguments 0 to 5 of a call.
    pub fn arguments(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// What a thread waits for: the events, and until when.
    #[inline(always)]
    pub fn wait_arguments(&self) -> (u64, u64) {
        (self.r8, self.r9)
    }

    /// What a thread finds as the badge of a message.
    #[inline(always)]
    pub fn badge(&self) -> u64 {
        self.r8
    }

    /// Sets the badge of a message.
    #[inline(always)]
    pub fn set_badge(&mut self, badge: u32) {
        self.r8 = badge.into();
    }

    /// Sets result 0 of a call, or argument 0 of one that is repeated.
    #[inline(always)]
    pub fn set_first(&mut self, word: u64) {
        self.rdi = word;
    }

    /// The next instruction.
    pub fn instruction(&self) -> u64 {
        self.rip
    }

    /// The top of the stack.
    #[cfg(feature = "self-attack")]
    pub fn stack(&self) -> u64 {
        self.rsp
    }

    /// Lets the thread go on at address 0, where nothing is ever mapped.
    pub fn fault_again(&mut self) {
        self.rip = 0;
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

    /// Four words of what it goes on with, the `part`th: see [`cloison_abi::capture`]. None of the last part, nor of what is
    /// the kernel's.
    pub fn part(&mut self, part: u64) -> Option<&mut [u64; 4]> {
        if part >= CAPTURE_PARTS || part & !1 == CAPTURE_LAST {
            return None;
        }
        // SAFETY: a context is so long, and all but two of its parts are registers, for which any words will do.
        Some(unsafe { &mut *(&raw mut *self).cast::<[u64; 4]>().add(part as usize) })
    }

    /// Sets such a part. Vector registers are looked at here and not when it goes on: a domain that has faulted runs once more,
    /// with what is here, to end.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if there is no such part, or if the vector registers could not be loaded with it; it is as
    /// it was then.
    pub fn set_part(&mut self, part: u64, words: [u64; 4]) -> Result<(), CallError> {
        let before = mem::replace(self.part(part).ok_or(CallError::BadArgument)?, words);
        let checked = capture::check_vectors(&mut self.vectors.0, enabled_states());
        if checked.is_err()
            && let Some(place) = self.part(part)
        {
            *place = before;
        }
        checked
    }

    /// The next instruction, the flags, and whether it was interrupted: the last part of that.
    pub fn last_part(&self) -> [u64; 3] {
        [self.rip, self.rflags, self.interrupted]
    }

    /// Lets it go on with such a last part, and with what the others are now.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if no domain can.
    pub fn go_on(&mut self, [rip, rflags, interrupted]: [u64; 3]) -> Result<(), CallError> {
        self.rflags = capture::checked_flags(rip, self.rsp, rflags)?;
        (self.rip, self.interrupted) = (rip, interrupted & CAPTURE_INTERRUPTED);
        Ok(())
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

/// The contexts of all threads.
pub struct Contexts([Context; TABLE_ENTRIES]);

impl Contexts {
    /// No thread has begun. All zeros.
    pub const EMPTY: Self = Self([const { Context::EMPTY }; TABLE_ENTRIES]);

    /// From now on no context is without page tables: before a thread has some of its own, it has the kernel's, and
    /// could only fault.
    pub fn init(&mut self, kernel: &KernelSpace) {
        self.0.iter_mut().for_each(|context| context.unbind(kernel));
    }
}

impl Index<ThreadId> for Contexts {
    type Output = Context;

    #[inline(always)]
    fn index(&self, id: ThreadId) -> &Context {
        &self.0[id.index()]
    }
}

impl IndexMut<ThreadId> for Contexts {
    #[inline(always)]
    fn index_mut(&mut self, id: ThreadId) -> &mut Context {
        &mut self.0[id.index()]
    }
}

/// How a thread goes on that has made a call and was not interrupted since.
#[derive(Clone, Copy)]
pub struct Return {
    /// The thread.
    pub to: ThreadId,
    /// In whose context the words of a message, or the results, are: they are loaded from there.
    pub words: ThreadId,
    /// Outcome and label.
    pub rax: u64,
    /// The badge, for a message.
    pub r8: u64,
}
