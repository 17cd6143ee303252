//! The tables that the CPU reads: segments, task state with the I/O bitmap, interrupts.

use x86_64::{
    PrivilegeLevel, VirtAddr,
    instructions::{
        segmentation::{CS, SS, Segment},
        tables::{lgdt, lidt, load_tss},
    },
    structures::{DescriptorTablePointer, gdt::SegmentSelector},
};

use super::{
    entry,
    selectors::{CPU_NUMBER, KERNEL_CODE, KERNEL_DATA, SEGMENTS, TASK_STATE, USER_CODE, USER_DATA},
};

/// Interrupt stack table entries, from 1: an exception that can strike while the kernel's stack is in use
/// needs a stack of its own.
const NMI_STACK: u8 = 1;
const DOUBLE_FAULT_STACK: u8 = 2;
const MACHINE_CHECK_STACK: u8 = 3;
/// How many such stacks there are.
const EXTRA_STACKS: usize = 3;
/// Bytes of each.
const EXTRA_STACK_BYTES: usize = 4096;

/// A stack for an exception that needs one of its own.
#[repr(C, align(16))]
struct ExtraStack([u8; EXTRA_STACK_BYTES]);

/// Vectors that there are.
const VECTORS: usize = 256;
/// The vector of `int3`.
const BREAKPOINT: usize = 3;
/// In a gate's kind: the user may use it.
const PRIVILEGE_USER: u8 = 3 << 5;

/// Bytes of the I/O bitmap: a bit for each of 65,536 ports, and the byte of ones that has to follow (Intel
/// SDM volume 1, section 19.5.2).
const BITMAP_BYTES: usize = 65536 / 8 + 1;

/// The task state segment (Intel SDM volume 3, section 8.7) with its I/O bitmap: a one forbids a port.
#[repr(C, packed(4))]
pub struct TaskState {
    _reserved_0: u32,
    stacks: [u64; 3],
    _reserved_1: u64,
    interrupt_stacks: [u64; 7],
    _reserved_2: u64,
    _reserved_3: u16,
    bitmap_offset: u16,
    bitmap: [u8; BITMAP_BYTES],
}

/// Offset of the bitmap in the segment: its ports are looked up.
const BITMAP_ON: u16 = core::mem::offset_of!(TaskState, bitmap) as u16;
/// An offset behind the segment's end: every port is forbidden.
const BITMAP_OFF: u16 = size_of::<TaskState>() as u16;

impl TaskState {
    /// A task state with no stacks, and every port forbidden.
    const EMPTY: Self = Self {
        _reserved_0: 0,
        stacks: [0; 3],
        _reserved_1: 0,
        interrupt_stacks: [0; 7],
        _reserved_2: 0,
        _reserved_3: 0,
        bitmap_offset: 0,
        bitmap: [0; BITMAP_BYTES],
    };

    /// Forbids every port, until others are allowed.
    pub fn forbid_ports(&mut self) {
        self.bitmap_offset = BITMAP_OFF;
    }

    /// Lets the bitmap decide.
    pub fn use_bitmap(&mut self) {
        self.bitmap_offset = BITMAP_ON;
    }

    /// Allows or forbids ports in the bitmap.
    pub fn set_ports(&mut self, first: u16, count: u16, allowed: bool) {
        for port in usize::from(first)..usize::from(first) + usize::from(count) {
            let bit = 1 << (port % 8);
            if allowed {
                self.bitmap[port / 8] &= !bit;
            } else {
                self.bitmap[port / 8] |= bit;
            }
        }
    }
}

/// One entry of the interrupt descriptor table.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct IdtEntry {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    _reserved: u32,
}

impl IdtEntry {
    /// An entry that is not present: a domain that uses `int` with its number faults.
    const EMPTY: Self = Self {
        offset_low: 0,
        selector: 0,
        stack: 0,
        kind: 0,
        offset_middle: 0,
        offset_high: 0,
        _reserved: 0,
    };

    /// An interrupt gate for the kernel's use alone (type 0xe, privilege 0, present).
    pub(super) fn new(address: u64, stack: u8) -> Self {
        Self {
            offset_low: address as u16,
            selector: KERNEL_CODE,
            stack,
            kind: 0x8e,
            offset_middle: (address >> 16) as u16,
            offset_high: (address >> 32) as u32,
            _reserved: 0,
        }
    }
}

/// The tables of one CPU.
pub struct Tables {
    /// See `selectors`.
    segments: [u64; SEGMENTS],
    pub(super) idt: [IdtEntry; VECTORS],
    pub(super) task_state: TaskState,
    extra_stacks: [ExtraStack; EXTRA_STACKS],
}

impl Tables {
    /// Nothing, all zeros.
    pub const EMPTY: Self = Self {
        segments: [0; SEGMENTS],
        idt: [IdtEntry::EMPTY; VECTORS],
        task_state: TaskState::EMPTY,
        extra_stacks: [const { ExtraStack([0; EXTRA_STACK_BYTES]) }; EXTRA_STACKS],
    };

    /// Fills the tables and makes the CPU use them. A trap begins at `stack_top`.
    ///
    /// # Safety
    /// The tables stay where they are, and belong to this CPU alone; so does the stack.
    pub unsafe fn load(&mut self, stack_top: u64) {
        self.fill_task_state(stack_top);
        self.fill_segments();
        self.fill_gates();
        let pointer = |table: *const u8, bytes: usize| DescriptorTablePointer {
            limit: bytes as u16 - 1,
            base: VirtAddr::from_ptr(table),
        };
        let segments = pointer((&raw const self.segments).cast(), size_of_val(&self.segments));
        let gates = pointer((&raw const self.idt).cast(), size_of_val(&self.idt));
        // SAFETY: the tables have just been filled with valid entries, and stay where they are. The selectors name what
        // `fill_segments` put there.
        unsafe {
            lgdt(&segments);
            CS::set_reg(SegmentSelector::new(KERNEL_CODE >> 3, PrivilegeLevel::Ring0));
            SS::set_reg(SegmentSelector::new(KERNEL_DATA >> 3, PrivilegeLevel::Ring0));
            load_tss(SegmentSelector::new(TASK_STATE >> 3, PrivilegeLevel::Ring0));
            // No local descriptors. After a reset the register holds base 0 and a limit of 64 KiB, so without
            // this a domain that maps its own page there writes its own call gates into ring 0.
            core::arch::asm!("lldt {:x}", in(reg) 0_u16, options(nostack, preserves_flags));
            lidt(&gates);
        }
    }

    fn fill_task_state(&mut self, stack_top: u64) {
        self.task_state.stacks[0] = stack_top;
        for (index, stack) in self.extra_stacks.iter().enumerate() {
            self.task_state.interrupt_stacks[index] = stack.0.as_ptr_range().end as u64;
        }
        self.task_state.bitmap = [0xff; BITMAP_BYTES];
        self.task_state.forbid_ports();
    }

    fn fill_segments(&mut self) {
        let base = (&raw const self.task_state) as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        // Type 9, present: an available 64-bit task state segment (Intel SDM volume 3, section 8.2.3).
        let low = limit & 0xffff | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        for (selector, entry) in [
            (KERNEL_CODE, 0x0020_9b00_0000_0000),
            (KERNEL_DATA, 0x0000_9300_0000_0000),
            (USER_DATA, 0x0000_f300_0000_0000),
            (USER_CODE, 0x0020_fb00_0000_0000),
            (TASK_STATE, low),
            (TASK_STATE + 8, base >> 32),
            (CPU_NUMBER, 0x0000_f100_0000_0000),
        ] {
            self.segments[usize::from(selector >> 3)] = entry;
        }
    }

    fn fill_gates(&mut self) {
        let first = entry::trap_stubs as *const () as u64;
        for (vector, gate) in self.idt.iter_mut().enumerate() {
            let stub = vector.min(entry::STUBS - 1) as u64;
            *gate = IdtEntry::new(first + stub * entry::STUB_BYTES, 0);
        }
        // The one exception that a program asks for by an instruction. Everything else that `int` could name is
        // refused.
        self.idt[BREAKPOINT].kind |= PRIVILEGE_USER;
        self.idt[2] = IdtEntry::new(entry::nmi_entry as *const () as u64, NMI_STACK);
        self.idt[8] = IdtEntry::new(entry::double_fault_entry as *const () as u64, DOUBLE_FAULT_STACK);
        self.idt[18] = IdtEntry::new(entry::machine_check_entry as *const () as u64, MACHINE_CHECK_STACK);
    }
}
