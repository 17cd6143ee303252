//! One CPU: what belongs to it alone, which features it needs, and the registers set once at boot.

use core::{arch::x86_64::__cpuid_count, cell::UnsafeCell, mem::offset_of};

use cloison_abi::{call::NO_DEADLINE, limits::MAX_PORT_RANGES};
use cloison_rules::{DomainId, GuestId, clock::Stated, cpu::ControlRegisters};
use x86_64::registers::{
    control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags},
    model_specific::Msr,
    xcontrol::{XCr0, XCr0Flags},
};

use super::{
    context::Context,
    guest_context::GuestContext,
    head::{self, Head},
    physical::load,
    selectors::{clear_selectors, is_a_selector_loaded},
    tables::Tables,
};
use crate::arch::guest::Root;

/// Bytes of the kernel's stack.
pub(super) const STACK_BYTES: usize = 16 * 1024;
/// Bytes below it that are not mapped, so that an overflow faults.
pub(super) const GUARD_BYTES: usize = 4096;

/// A stack with its guard page.
#[repr(C, align(4096))]
pub(super) struct Stack(UnsafeCell<[u8; GUARD_BYTES + STACK_BYTES]>);

// SAFETY: only the CPU to which the stack belongs uses it, and no reference into it is ever made.
unsafe impl Sync for Stack {}

/// The kernel's stack of the first CPU.
pub(super) static KERNEL_STACK: Stack = Stack(UnsafeCell::new([0; GUARD_BYTES + STACK_BYTES]));

impl Stack {
    fn top(&self) -> u64 {
        self.0.get() as u64 + (GUARD_BYTES + STACK_BYTES) as u64
    }
}

/// A range of ports: the first, and how many.
pub type PortRange = (u16, u16);
/// The ports of one domain.
pub type PortRanges = heapless::Vec<PortRange, MAX_PORT_RANGES>;

/// No page tables: no address of a page, nor that of a thread that has none.
const NOTHING: u64 = 1;

/// What belongs to one CPU.
#[repr(C)]
pub struct Cpu {
    head: Head,
    /// Physical address of the page tables that are loaded, or [`NOTHING`] if none is to be taken as loaded.
    loaded: u64,
    /// The domain whose ports the bitmap allows.
    ports_of: Option<DomainId>,
    ports: PortRanges,
    /// The guest that has the CPU.
    guest: Option<GuestId>,
    /// Up to which change of address spaces or ports this CPU has looked at what it has loaded.
    pub epoch: u64,
    /// When the timer is set to interrupt.
    pub armed: u64,
    pub(super) tables: Tables,
}

/// Where the entry code notes which page tables it has loaded.
pub(super) const LOADED: usize = offset_of!(Cpu, loaded);

const _: () = assert!(offset_of!(Cpu, head) == 0, "the entry code passes the address of the head");

/// The first CPU.
struct FirstCpu(UnsafeCell<Cpu>);

// SAFETY: only the first CPU reaches it, through `gs` and through `init`, and only one reference exists at a
// time: the one that the entry code or `init` made.
unsafe impl Sync for FirstCpu {}

static FIRST_CPU: FirstCpu = FirstCpu(UnsafeCell::new(Cpu {
    head: Head::EMPTY,
    loaded: 0,
    ports_of: None,
    ports: PortRanges::new(),
    guest: None,
    epoch: 0,
    armed: 0,
    tables: Tables::EMPTY,
}));

/// What a thread's turn on the CPU needs.
pub struct Turn<'a> {
    /// Its registers and page tables.
    pub context: &'a mut Context,
    /// Its domain.
    pub domain: DomainId,
    /// The I/O ports of its domain.
    pub ports: &'a PortRanges,
}

impl Cpu {
    /// Makes the CPU ready to run domains. Returns what belongs to it.
    ///
    /// # Safety
    /// This is the first that runs, and it runs once.
    pub(super) unsafe fn init() -> &'static mut Self {
        let first = FIRST_CPU.0.get();
        // SAFETY: so says the caller: nothing else has reached the structure.
        let cpu = unsafe { &mut *first };
        (cpu.loaded, cpu.armed) = (NOTHING, NO_DEADLINE);
        // SAFETY: the structure is a static, and the stack is this CPU's. The tables come first: the segments are theirs.
        unsafe {
            cpu.tables.load(KERNEL_STACK.top());
            cpu.head.init(first.cast(), KERNEL_STACK.top());
        }
        cpu
    }

    /// What the entry code uses of it.
    #[inline(always)]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The page below its stack, which is not to be mapped.
    pub fn guard(&self) -> u64 {
        KERNEL_STACK.0.get() as u64
    }

    /// Lets a thread have the CPU: its address space, its ports, its registers.
    pub fn switch(&mut self, turn: Turn<'_>) {
        let Turn { context, domain, ports } = turn;
        if !self.switch_without_ports(context) {
            self.load(context.root);
            self.switch_ports(domain, ports);
            // SAFETY: both are loaded, and contexts are in the kernel's one table.
            unsafe { self.head.run(context) };
        }
    }

    /// The same, if its domain has no ports, or all of it is loaded already. Returns false and does nothing if not.
    #[inline(always)]
    pub fn switch_without_ports(&mut self, context: &mut Context) -> bool {
        if self.loaded != context.root {
            if context.has_ports {
                return false;
            }
            self.load(context.root);
            self.tables.task_state.forbid_ports();
        }
        // SAFETY: its address space is loaded, and it has no ports, or they were loaded with that. Contexts are in the
        // kernel's one table.
        unsafe { self.head.run(context) };
        true
    }

    /// Lets a guest have the CPU: a root table of its own, its registers. Its selectors are loaded.
    #[inline(always)]
    pub fn enter_guest(&mut self, id: GuestId, guest: &mut GuestContext, root: Root) {
        self.load(root.address());
        self.tables.task_state.forbid_ports();
        guest.segments.load_bases();
        head::lead_to_guest(true);
        self.guest = Some(id);
        // SAFETY: its space is loaded, it has no ports, and contexts of guests are in the kernel's one table.
        unsafe { self.head.run(&mut guest.context) };
    }

    /// Loads the segment selectors of a guest that is about to go on.
    pub fn load_selectors(&self, guest: &GuestContext) {
        guest.segments.load_selectors();
    }

    /// Takes the CPU from a guest, which has just come out of it.
    #[inline(always)]
    pub fn leave_guest(&mut self, guest: &mut GuestContext) {
        guest.segments.unload();
        head::lead_to_guest(false);
        self.guest = None;
    }

    /// The guest that has it.
    #[inline(always)]
    pub fn guest(&self) -> Option<GuestId> {
        self.guest
    }

    #[inline(always)]
    fn load(&mut self, root: u64) {
        self.loaded = root;
        // SAFETY: a context's root is that of an address space that is there, or the kernel's own.
        unsafe { load(root) };
    }

    /// Whether a thread's address space is loaded.
    pub fn has_loaded(&self, context: &Context) -> bool {
        self.loaded == context.root
    }

    /// Address spaces or ports have changed: none of them is to be taken as loaded.
    pub fn forget(&mut self) {
        (self.loaded, self.ports_of) = (NOTHING, None);
    }

    /// The bitmap stays as the last domain with ports has left it; only a change of that domain costs
    /// anything.
    #[inline(never)]
    fn switch_ports(&mut self, id: DomainId, ports: &PortRanges) {
        self.tables.task_state.use_bitmap();
        if self.ports_of == Some(id) {
            return;
        }
        for (first, count) in &self.ports {
            self.tables.task_state.set_ports(*first, *count, false);
        }
        for (first, count) in ports {
            self.tables.task_state.set_ports(*first, *count, true);
        }
        self.ports = ports.clone();
        self.ports_of = Some(id);
    }
}

/// A domain can load these registers with selectors; another domain should not find them. (By the two pieces of
/// `segments`, each signal would cost five instructions more.)
pub fn clear_segment_selectors() {
    // SAFETY: nothing but the four changes, to what `clear_selectors` says is sound.
    unsafe {
        core::arch::asm!(
            is_a_selector_loaded!(),
            "jz 2f",
            clear_selectors!(),
            "2:",
            all = out(reg) _,
            one = out(reg) _,
            options(nostack, nomem),
        );
    }
}

/// Features of the CPU, by the names that its manual gives them.
#[derive(Clone, Copy)]
struct Feature {
    name: &'static str,
    leaf: u32,
    register: fn(core::arch::x86_64::CpuidResult) -> u32,
    bit: u32,
}

/// What the kernel cannot do without.
const NEEDED: [Feature; 8] = [
    Feature { name: "TSC", leaf: 1, register: |r| r.edx, bit: 4 },
    Feature { name: "APIC", leaf: 1, register: |r| r.edx, bit: 9 },
    Feature { name: "PGE", leaf: 1, register: |r| r.edx, bit: 13 },
    Feature { name: "FXSR", leaf: 1, register: |r| r.edx, bit: 24 },
    Feature { name: "SSE2", leaf: 1, register: |r| r.edx, bit: 26 },
    Feature { name: "XSAVE", leaf: 1, register: |r| r.ecx, bit: 26 },
    Feature { name: "SYSCALL", leaf: 0x8000_0001, register: |r| r.edx, bit: 11 },
    Feature { name: "NX", leaf: 0x8000_0001, register: |r| r.edx, bit: 20 },
];

const MCE: Feature = Feature { name: "MCE", leaf: 1, register: |r| r.edx, bit: 7 };
const AVX: Feature = Feature { name: "AVX", leaf: 1, register: |r| r.ecx, bit: 28 };
const SMEP: Feature = Feature { name: "SMEP", leaf: 7, register: |r| r.ebx, bit: 7 };
const SMAP: Feature = Feature { name: "SMAP", leaf: 7, register: |r| r.ebx, bit: 20 };
const UMIP: Feature = Feature { name: "UMIP", leaf: 7, register: |r| r.ecx, bit: 2 };
/// The CPU lists its immunities in IA32_ARCH_CAPABILITIES.
const CAPABILITIES: Feature = Feature { name: "ARCH_CAPABILITIES", leaf: 7, register: |r| r.edx, bit: 29 };

impl Feature {
    fn is_there(self) -> bool {
        let highest = __cpuid_count(self.leaf & 0x8000_0000, 0).eax;
        self.leaf <= highest && (self.register)(__cpuid_count(self.leaf, 0)) & 1 << self.bit != 0
    }
}

/// The CPU has all that the kernel needs: what this says, [`Fit::check`] has seen.
#[derive(Clone, Copy)]
pub struct Fit(());

impl Fit {
    /// Looks at the CPU.
    ///
    /// # Errors
    /// The first feature that the kernel needs and the CPU does not have.
    pub fn check() -> Result<Self, &'static str> {
        let missing = NEEDED.iter().find(|feature| !feature.is_there());
        missing.map_or(Ok(Self(())), |feature| Err(feature.name))
    }
}

/// Whether a domain on this CPU could read kernel memory by the Meltdown flaw: an Intel CPU that does not
/// list the immunity (RDCL_NO, bit 0 of IA32_ARCH_CAPABILITIES).
pub fn has_meltdown_flaw() -> bool {
    const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
    let vendor = __cpuid_count(0, 0);
    let intel = (vendor.ebx, vendor.edx, vendor.ecx) == (0x756e_6547, 0x4965_6e69, 0x6c65_746e);
    // SAFETY: the CPU says that it has the register.
    let listed = || CAPABILITIES.is_there() && unsafe { Msr::new(IA32_ARCH_CAPABILITIES).read() } & 1 != 0;
    intel && !listed()
}

/// The registers that turn protections on, as they are. [`enable_features`] has turned XSAVE on.
pub fn control_registers() -> ControlRegisters {
    ControlRegisters {
        cr0: Cr0::read_raw(),
        cr4: Cr4::read_raw(),
        efer: Efer::read_raw(),
        xcr0: XCr0::read_raw(),
    }
}

/// The base register of the local APIC.
pub fn apic_base(_: Fit) -> u64 {
    const IA32_APIC_BASE: u32 = 0x1b;
    // SAFETY: the CPU has a local APIC, and so this register.
    unsafe { Msr::new(IA32_APIC_BASE).read() }
}

/// The states that XRSTOR can load.
pub fn enabled_states() -> u64 {
    XCr0::read_raw()
}

/// What the CPU says about its clock, if it does.
pub fn stated_clock() -> Option<Stated> {
    let highest = __cpuid_count(0, 0).eax;
    if highest < 0x15 {
        return None;
    }
    let ratio = __cpuid_count(0x15, 0);
    Stated::from_cpuid([ratio.eax, ratio.ebx, ratio.ecx])
}

/// Turns on what the CPU has: no execution of data, protection of user memory from the kernel and of the
/// kernel's tables from user code, and the extended state that XSAVE handles. Names the register that does not
/// hold then what was written to it, if there is one.
pub fn enable_features(_: Fit) -> Result<(), &'static str> {
    // Written as a whole: what firmware or boot loader have turned on beside this stays off.
    let mut cr4 = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION
        | Cr4Flags::PAGE_GLOBAL
        | Cr4Flags::OSFXSR
        | Cr4Flags::OSXMMEXCPT_ENABLE
        | Cr4Flags::OSXSAVE;
    for (feature, flag) in [
        (SMEP, Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
        (SMAP, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        (UMIP, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
        (MCE, Cr4Flags::MACHINE_CHECK_EXCEPTION),
    ] {
        if feature.is_there() {
            cr4 |= flag;
        }
    }
    let mut state = XCr0Flags::X87 | XCr0Flags::SSE;
    if AVX.is_there() {
        state |= XCr0Flags::AVX;
    }
    // SAFETY: nothing that is needed is missing, so each bit set here is one that the CPU has. The
    // kernel reads no user memory and runs no user code, so SMAP and SMEP take nothing from it.
    unsafe {
        Efer::update(|flags| flags.insert(EferFlags::NO_EXECUTE_ENABLE));
        Cr4::write_raw(cr4.bits());
        Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT | Cr0Flags::NUMERIC_ERROR));
        XCr0::write(state);
    }
    let found = control_registers();
    let written = ControlRegisters { cr4: cr4.bits(), xcr0: state.bits(), ..found };
    found.not_kept(written).map_or(Ok(()), Err)
}

/// Stops the CPU for good.
pub fn stop() -> ! {
    x86_64::instructions::interrupts::disable();
    loop {
        x86_64::instructions::hlt();
    }
}

/// The address at which the last page fault struck.
pub fn fault_address() -> u64 {
    x86_64::registers::control::Cr2::read_raw()
}
