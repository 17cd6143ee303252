//! What the entry code uses of a CPU's own data, and what the CPU has to know to get there by a system call.

use core::ptr;

use x86_64::registers::{
    control::{Efer, EferFlags},
    model_specific::{GsBase, KernelGsBase, Msr, SFMask},
    rflags::RFlags,
};

use super::{
    context::Context,
    selectors::{KERNEL_CODE, SYSRET_BASE},
};

unsafe extern "C" {
    /// Where `syscall` leads.
    fn syscall_entry();
    /// Where it leads while a guest runs.
    fn guest_syscall_entry();
}

/// What the entry code uses of a CPU's own data. They begin with it.
#[repr(C)]
pub struct Head {
    /// The address of this structure.
    pub(super) this: *const Head,
    /// First address above the kernel's stack.
    pub(super) stack_top: u64,
    /// Where the registers of the thread that runs are saved. It is the one whose address space and ports are loaded.
    pub(super) context: *mut Context,
    /// A word for the entry code.
    pub(super) scratch: u64,
}

impl Head {
    /// That of a CPU which has not begun. All zeros.
    pub(super) const EMPTY: Self =
        Self { this: ptr::null(), stack_top: 0, context: ptr::null_mut(), scratch: 0 };

    /// Lets the CPU enter the kernel by system calls.
    ///
    /// # Safety
    /// `this` is where it is, for good, at the begin of the CPU's own data; nothing else uses the stack. The segments are
    /// loaded.
    pub(super) unsafe fn init(&mut self, this: *const Self, stack_top: u64) {
        (self.this, self.stack_top) = (this, stack_top);
        set_up_system_call(this as u64);
    }

    /// The registers of this thread are saved from now on.
    ///
    /// # Safety
    /// Its address space and its ports are loaded, and the context stays where it is.
    #[inline(always)]
    pub(super) unsafe fn run(&mut self, context: &mut Context) {
        self.context = context;
    }
}

fn set_up_system_call(cpu: u64) {
    // Flags that are cleared at entry: interrupts, direction, trap, alignment check, nested task, I/O
    // privilege, resume.
    let cleared = RFlags::INTERRUPT_FLAG
        | RFlags::DIRECTION_FLAG
        | RFlags::TRAP_FLAG
        | RFlags::ALIGNMENT_CHECK
        | RFlags::NESTED_TASK
        | RFlags::IOPL_LOW
        | RFlags::IOPL_HIGH
        | RFlags::RESUME_FLAG;
    // STAR: `syscall` loads CS from bits 32–47 and SS from 8 above; `sysret` SS from 8 above bits 48–63, CS
    // from 16 above.
    const STAR: u32 = 0xc000_0081;
    // The other way into the kernel, `sysenter`, faults while this is 0.
    const IA32_SYSENTER_CS: u32 = 0x174;
    let selectors = u64::from(KERNEL_CODE) << 32 | u64::from(SYSRET_BASE) << 48;
    lead_to_guest(false);
    SFMask::write(cleared);
    GsBase::write(x86_64::VirtAddr::new(cpu));
    KernelGsBase::write(x86_64::VirtAddr::zero());
    // SAFETY: the selectors name the segments that are loaded, and LSTAR leads to the entry code.
    unsafe {
        Msr::new(STAR).write(selectors);
        Msr::new(IA32_SYSENTER_CS).write(0);
        Efer::update(|flags| flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS));
    }
}

/// Lets the next `syscall` be one of a guest, or of a domain.
#[inline(always)]
pub(super) fn lead_to_guest(is_guests: bool) {
    const LSTAR: u32 = 0xc000_0082;
    let entry = if is_guests { guest_syscall_entry } else { syscall_entry } as *const () as u64;
    // SAFETY: LSTAR leads to the entry code. What runs next outside of the kernel is what the entry is for.
    unsafe { Msr::new(LSTAR).write(entry) };
}
